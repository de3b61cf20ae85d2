import { strangerPod } from './testing/client-pod.js';
import { core, ensureNamespace, eventually, isReady } from './testing/cluster.js';
import { attempt } from './testing/shell.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const ELSEWHERE = 'e2e-strangers';
const NAMESPACES = [shared.namespace, ELSEWHERE];
const DOORS = {
  grpc: ['shoal-peer-0.shoal-peer', 4999],
  http: ['shoal-peer-http', 5001],
  index: ['shoal-index', 5000],
  mongodb: ['shoal-mongodb', 27017],
} as const;

beforeAll(async () => {
  await ensureShared();
  await ensureNamespace(ELSEWHERE);
  await startPod(shared.namespace, 'stranger', {});
  await startPod(shared.namespace, 'application', { 'shoal-client': 'true' });
  await startPod(ELSEWHERE, 'stranger', { 'shoal-client': 'true' });
});

afterAll(async () => {
  for (const name of ['stranger', 'application']) {
    await core.deleteNamespacedPod({ namespace: shared.namespace, name });
  }
});

story('a stranger reaches no door, wherever it is', NAMESPACES, async () => {
  expect(await openDoors(shared.namespace, 'stranger')).toEqual([]);
  expect(await openDoors(ELSEWHERE, 'stranger')).toEqual([]);
});

story('an application with the label reaches the HTTP doors, and neither gRPC nor MongoDB', NAMESPACES, async () => {
  expect(await openDoors(shared.namespace, 'application')).toEqual(['http', 'index']);
});

story('the parts reach each other', NAMESPACES, async () => {
  const { sha256 } = await shared.putRandom(0, 'behind-walls.bin', { mib: 5, replicas: 2 });
  expect(await shared.digestAfterGet(1, 'behind-walls.bin')).toBe(sha256);
  expect(await shared.digestAfterGet(2, 'behind-walls.bin')).toBe(sha256);
});

noContainerRestarted([shared.namespace]);

async function startPod(namespace: string, name: string, labels: Record<string, string>): Promise<void> {
  await core.createNamespacedPod({ namespace, body: strangerPod(name, labels) });
  await eventually(`${name} is ready`, 60_000, async () => isReady(await core.readNamespacedPod({ namespace, name })));
}

/** The doors that answer when a pod knocks. */
async function openDoors(namespace: string, pod: string): Promise<string[]> {
  const knocks = Object.entries(DOORS).map(async ([door, [service, port]]) => {
    const [host = '', ...subdomain] = service.split('.');
    const name = [host, ...subdomain, shared.namespace, 'svc.cluster.local'].join('.');
    const command = ['nc', '-w', '3', name, String(port), '-e', 'true'];
    const { code, stderr } = await attempt('kubectl', ['--namespace', namespace, 'exec', pod, '--', ...command]);
    if (/bad address/.test(stderr)) throw new Error(`${name} is not known: ${stderr}`);
    return code === 0 ? [door] : [];
  });
  return (await Promise.all(knocks)).flat();
}
