import { once } from 'node:events';
import { eventually } from './testing/cluster.js';
import { PeerWatch } from './testing/peer-watch.js';
import type { FileStat } from './testing/release.js';
import { Running } from './testing/shell.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const MIB = 512;

let watch: PeerWatch;

beforeAll(async () => {
  await ensureShared();
  watch = await PeerWatch.open(shared);
});

afterAll(() => watch.stop());

story('a get outlives the pod that seeds it, and the pod is gone within 2 s and comes back', NAMESPACES, async () => {
  const wanted = await shared.putRandom(0, 'seeded.bin', { mib: MIB, replicas: 2 });
  const { holders } = await shared.json<FileStat>(0, 'stat', wanted.id);
  const getter = [0, 1, 2].find((peer) => !holders.some((holder) => holder.peer === shared.peerPod(peer)));
  if (getter === undefined) throw new Error(`everybody has it: ${JSON.stringify(holders)}`);
  const victim = getter === 2 ? 1 : 2;
  const onlyThere = await shared.putRandom(victim, 'only-there.bin', { mib: 8, replicas: 1 });
  const uid = await shared.uidOf(shared.peerPod(victim));

  const get = new SlowGet(getter, wanted.id);
  await get.isUnderWay;
  // Looked at then, and not when the pod is gone from the answers: by that time all may have come from the other one.
  let fractionAtKill = 1;
  const goneAfterMs = await watch.timeUntilGone(shared.peerPod(victim), async () => {
    await shared.kill(shared.peerPod(victim));
    fractionAtKill = get.fractionDone;
  });
  expect(fractionAtKill).toBeLessThan(1);
  await get.succeeded();
  console.log(`the killed pod was in answers for ${goneAfterMs.toFixed(0)} ms`);
  expect(goneAfterMs).toBeLessThan(2000);
  expect(await shared.digestAfterGet(getter, wanted.id)).toBe(wanted.sha256);

  await shared.podAgain(shared.peerPod(victim), uid);
  await eventually('it is live again', 30_000, async () => {
    return (await watch.peers()).some(({ name, state }) => name === shared.peerPod(victim) && state === 'live');
  });
  expect(await shared.digestAfterGet(getter, onlyThere.id)).toBe(onlyThere.sha256);
});

noContainerRestarted(NAMESPACES);

/** `shoal get` in a peer's pod, with its progress. */
class SlowGet {
  fractionDone = 0;
  readonly isUnderWay: Promise<unknown>;
  readonly #get: Running;

  constructor(peer: number, ref: string) {
    const progress = new EventTarget();
    this.isUnderWay = once(progress, 'begun');
    const command = ['shoal', 'get', ref, '--to', '/tmp/slow', '--progress', 'json'];
    const args = ['--namespace', shared.namespace, 'exec', shared.peerPod(peer), '--', ...command];
    this.#get = new Running('kubectl', args, (line) => {
      if (!line.startsWith('{')) return;
      const { phase, doneBytes, totalBytes } = JSON.parse(line) as Record<string, number | string | null>;
      if (phase !== 'fetching' || typeof totalBytes !== 'number') return;
      this.fractionDone = Number(doneBytes) / totalBytes;
      if (this.fractionDone > 0) progress.dispatchEvent(new Event('begun'));
    });
  }

  succeeded(): Promise<void> {
    return this.#get.succeeded();
  }
}
