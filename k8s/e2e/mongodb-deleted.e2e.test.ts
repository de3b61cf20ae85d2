import { eventually, isReady } from './testing/cluster.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

beforeAll(ensureShared);

story(
  'the catalogue is intact after MongoDB was deleted; the index waits, and does not restart',
  NAMESPACES,
  async () => {
    await shared.putRandom(0, 'kept-by-mongodb.bin', { mib: 1, replicas: 2 });
    const before = await shared.shoal(0, 'ls', '--output', 'json');
    const index = (await shared.pods('index'))[0]?.metadata?.name ?? '';
    const mongodb = `${shared.name}-mongodb-0`;
    const uid = await shared.uidOf(mongodb);
    const { url, stop } = await shared.portForward(`pod/${index}`, 5000);
    const readiness = async () => (await fetch(`${url}/readyz`)).status;
    expect(await readiness()).toBe(200);

    // A pod that is deleted may be back before anybody looks; this one comes when the index has noticed.
    await shared.scale('mongodb', 0);
    await eventually('the index says that it is not ready', 90_000, async () => (await readiness()) === 503);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    await shared.scale('mongodb', 1);
    await shared.podAgain(mongodb, uid);
    await eventually('the index says that it is ready', 60_000, async () => (await readiness()) === 200);
    await stop();

    await eventually('the index pod is ready', 30_000, async () => (await shared.pods('index')).every(isReady));
    expect((await shared.pods('index')).map((pod) => pod.metadata?.name)).toEqual([index]);
    expect(JSON.parse(await shared.shoal(1, 'ls', '--output', 'json'))).toEqual(JSON.parse(before));
    await shared.waitForPeers(3);
  },
);

noContainerRestarted(NAMESPACES);
