import { ClientPod } from './testing/client-pod.js';
import { GetLoop, putStock } from './testing/get-loop.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

let client: ClientPod;

beforeAll(async () => {
  await ensureShared();
  client = await ClientPod.start(shared);
});

afterAll(() => client.remove());

story('no get fails while the peers restart one after the other', NAMESPACES, async () => {
  const stock = await putStock(shared, 0, { prefix: 'rolling', count: 40, mib: 8 });
  const gets = new GetLoop(shared, stock, { peers: 3 });
  const downloads = client.downloadInLoop(stock);
  await shared.kubectl(['rollout', 'restart', 'statefulset/shoal-peer']);
  await shared.kubectl(['rollout', 'status', 'statefulset/shoal-peer', '--timeout=240s']);
  await gets.moreGets(6);
  await Promise.all([gets.stop(), downloads.stop()]);
  console.log(`${gets.done} gets in pods and ${downloads.done} over HTTP during a rolling restart`);
  expect({ gets: gets.failures, downloads: downloads.failures }).toEqual({ gets: [], downloads: [] });
  expect(downloads.done).toBeGreaterThan(10);
});

noContainerRestarted(NAMESPACES);
