import { core, isReady, podsOf } from './testing/cluster.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

story('everything is ready after one helm install with the defaults', NAMESPACES, async () => {
  const start = performance.now();
  await ensureShared();
  console.log(`from helm install to all ready: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  const pods = await podsOf(shared.namespace);
  expect(pods.filter((pod) => !isReady(pod)).map((pod) => pod.metadata?.name)).toEqual([]);
});

story('pods and Services have the names that people type', NAMESPACES, async () => {
  const pods = (await podsOf(shared.namespace)).map((pod) => pod.metadata?.name ?? '').sort();
  expect(pods).toEqual([
    expect.stringMatching(/^shoal-index-[a-z0-9]+-[a-z0-9]+$/),
    'shoal-mongodb-0',
    'shoal-peer-0',
    'shoal-peer-1',
    'shoal-peer-2',
  ]);
  const index = await core.readNamespacedService({ namespace: shared.namespace, name: 'shoal-index' });
  expect(index.spec?.ports?.map(({ port }) => port)).toEqual([5000]);
  const peers = await core.readNamespacedService({ namespace: shared.namespace, name: 'shoal-peer' });
  expect(peers.spec?.clusterIP).toBe('None');
});

story('shoal needs no flags in any peer, and finds nothing wrong', NAMESPACES, async () => {
  for (const peer of [0, 1, 2]) {
    const { checks } = await shared.json<{ checks: { name: string; result: string }[] }>(peer, 'doctor');
    expect(checks.filter(({ result }) => result !== 'ok')).toEqual([]);
  }
});

story('the chart passes its own test', NAMESPACES, async () => {
  expect(await shared.helm('test', shared.name, '--timeout=2m')).toMatch(/Phase:\s+Succeeded/);
});

noContainerRestarted(NAMESPACES);
