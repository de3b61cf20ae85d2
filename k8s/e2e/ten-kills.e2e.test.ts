import { eventually } from './testing/cluster.js';
import { PeerWatch } from './testing/peer-watch.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const KILLS = 10;

beforeAll(ensureShared);

story('each of ten killed pods is out of all answers within 2 s', NAMESPACES, async () => {
  const watch = await PeerWatch.open(shared);
  const tookMs: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const pod = shared.peerPod(kill % 3);
    const uid = await shared.uidOf(pod);
    tookMs.push(Math.round(await watch.timeUntilGone(pod, () => shared.kill(pod))));
    await shared.podAgain(pod, uid);
    await eventually(`${pod} is live again`, 30_000, async () =>
      (await watch.peers()).some(({ name, state }) => name === pod && state === 'live'),
    );
  }
  await watch.stop();
  console.log(`killed pods stayed in answers for (ms): ${tookMs.join(' ')}; at most ${Math.max(...tookMs)}`);
  expect(tookMs.filter((took) => took >= 2000)).toEqual([]);
});

noContainerRestarted(NAMESPACES);
