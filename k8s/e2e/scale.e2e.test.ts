import { eventually } from './testing/cluster.js';
import { putStock } from './testing/get-loop.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const STAYING = ['shoal-peer-0', 'shoal-peer-1', 'shoal-peer-2'];

beforeAll(ensureShared);

story(
  'three peers become five and three again; what only those that left had was handed over before',
  NAMESPACES,
  async () => {
    await shared.scalePeers(5);
    await shared.waitForPeers(5);
    const digests = new Map<string, string>();
    for (const peer of [0, 3, 4]) {
      const stock = await putStock(shared, peer, { prefix: `scaled-by-${peer}`, count: 5, mib: 1 });
      for (const [name, digest] of stock.digests) digests.set(name, digest);
    }
    const sole = await shared.putRandom(4, 'sole-copy', { mib: 5, replicas: 1 });
    digests.set('sole-copy', sole.sha256);

    await shared.scalePeers(3);
    await shared.waitForPeers(3);
    await eventually('those that left are no longer live', 10_000, async () => {
      const live = (await shared.peers(1)).filter(({ state }) => state === 'live').map(({ name }) => name);
      return live.sort().join() === STAYING.join();
    });
    expect(await got([...digests.keys()])).toEqual([...digests].map(([name, digest]) => `${name} ${digest}`));
  },
);

noContainerRestarted(NAMESPACES);

/** Gets the files in the pod of a peer, a line each: name and SHA-256 of what came. */
async function got(names: readonly string[]): Promise<string[]> {
  const script = `for name in ${names.join(' ')}; do
    digest=$(shoal get "$name" --to /tmp/scaled --quiet >/dev/null && sha256sum < /tmp/scaled | cut -d ' ' -f 1) || digest='cannot be got'
    echo "$name $digest"
    rm -f /tmp/scaled
  done`;
  return (await shared.script('shoal-peer-1', script)).split('\n').filter((line) => line !== '');
}
