import { eventually, isReady } from './testing/cluster.js';
import { GetLoop, putStock } from './testing/get-loop.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

beforeAll(ensureShared);

story('no get fails while the index is taken away, politely and by force', NAMESPACES, async () => {
  const stock = await putStock(shared, 1, { prefix: 'headless', count: 40, mib: 8 });
  const gets = new GetLoop(shared, stock, { peers: 3 });
  for (const takeAway of [deleteIndex, killIndex]) {
    await gets.moreGets(3);
    await takeAway();
    await indexIsReady();
    await gets.moreGets(3);
  }
  await gets.stop();
  console.log(`${gets.done} gets while the index was away and back twice`);
  expect(gets.failures).toEqual([]);
});

noContainerRestarted(NAMESPACES);

async function deleteIndex(): Promise<void> {
  await shared.kubectl(['delete', 'pod', '--selector', 'app.kubernetes.io/component=index', '--wait=false']);
}

async function killIndex(): Promise<void> {
  for (const pod of await shared.pods('index')) await shared.kill(pod.metadata?.name ?? '');
}

async function indexIsReady(): Promise<void> {
  await eventually('the index is ready again', 60_000, async () => {
    const pods = await shared.pods('index');
    return pods.length > 0 && pods.every(isReady);
  });
}
