import { eventually } from './testing/cluster.js';
import { putStock } from './testing/get-loop.js';
import type { FileStat } from './testing/release.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const STAYING = ['shoal-peer-0', 'shoal-peer-1', 'shoal-peer-2'];

beforeAll(ensureShared);

story(
  'three peers become five and three again; what has a copy on a peer that stays can be got',
  NAMESPACES,
  async () => {
    await shared.scalePeers(5);
    await shared.waitForPeers(5);
    const digests = new Map<string, string>();
    for (const peer of [0, 3, 4]) {
      const stock = await putStock(shared, peer, { prefix: `scaled-by-${peer}`, count: 5, mib: 1 });
      for (const [name, digest] of stock.digests) digests.set(name, digest);
    }
    const { staying, leaving } = await copiesOf([...digests.keys()]);
    expect(staying.length).toBeGreaterThanOrEqual(5);

    await shared.scalePeers(3);
    await shared.waitForPeers(3);
    await eventually('those that left are no longer live', 10_000, async () => {
      const live = (await shared.peers(1)).filter(({ state }) => state === 'live').map(({ name }) => name);
      return live.sort().join() === STAYING.join();
    });
    expect(await got(staying)).toEqual(staying.map((name) => `${name} ${digests.get(name)}`));

    // Both copies of these were on the two that left. Their volumes stayed.
    await shared.scalePeers(5);
    await shared.waitForPeers(5);
    expect(await got(leaving)).toEqual(leaving.map((name) => `${name} ${digests.get(name)}`));
    await shared.scalePeers(3);
    await shared.waitForPeers(3);
  },
);

noContainerRestarted(NAMESPACES);

/** Tells the files of which a peer that stays has a copy from the others; all have two. */
async function copiesOf(names: readonly string[]): Promise<{ staying: string[]; leaving: string[] }> {
  const script = `for name in ${names.join(' ')}; do shoal stat "$name" --output jsonl; done`;
  const rows = (await shared.script('shoal-peer-1', script)).trimEnd().split('\n');
  const staying: string[] = [];
  const leaving: string[] = [];
  for (const [i, row] of rows.entries()) {
    const { holders } = JSON.parse(row) as FileStat;
    expect(holders).toHaveLength(2);
    (holders.some(({ peer }) => STAYING.includes(peer)) ? staying : leaving).push(names[i] ?? '');
  }
  return { staying, leaving };
}

/** Gets the files in the pod of a peer, a line each: name and SHA-256 of what came. */
async function got(names: readonly string[]): Promise<string[]> {
  const script = `for name in ${names.join(' ')}; do
    digest=$(shoal get "$name" --to /tmp/scaled --quiet >/dev/null && sha256sum < /tmp/scaled | cut -d ' ' -f 1) || digest='cannot be got'
    echo "$name $digest"
    rm -f /tmp/scaled
  done`;
  return (await shared.script('shoal-peer-1', script)).split('\n').filter((line) => line !== '');
}
