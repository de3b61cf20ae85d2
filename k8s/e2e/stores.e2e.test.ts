import { core, ensureNamespace, eventually, isReady } from './testing/cluster.js';
import { Release } from './testing/release.js';
import { noContainerRestarted, story } from './testing/story.js';

const NAMESPACE = 'e2e-stores';
const NAMESPACES = [NAMESPACE];
const PASSWORD = 'a secret of yours';
const MONGODB = 'mongodb-of-yours';

const embedded = new Release(NAMESPACE, 'shoal-embedded');
const external = new Release(NAMESPACE, 'shoal-external');

story('the embedded store keeps the catalogue on its volume while the index is away', NAMESPACES, async () => {
  await embedded.install({ 'mongodb.enabled': false, 'peer.replicas': 2 });
  await embedded.waitForPeers(2);
  const { sha256 } = await embedded.putRandom(0, 'embedded.bin', { mib: 5, replicas: 1 });
  const [index] = await embedded.pods('index');
  await core.deleteNamespacedPod({ namespace: NAMESPACE, name: index?.metadata?.name ?? '' });
  await eventually('another index is ready', 60_000, async () => {
    const pods = await embedded.pods('index');
    return pods.length === 1 && pods[0]?.metadata?.uid !== index?.metadata?.uid && pods.every(isReady);
  });
  await embedded.waitForPeers(2);
  expect(await embedded.digestAfterGet(1, 'embedded.bin')).toBe(sha256);
});

story('a MongoDB of yours serves two index servers, beside another release in the namespace', NAMESPACES, async () => {
  await startMongodb();
  const uri = `mongodb://root:${encodeURIComponent(PASSWORD)}@${MONGODB}.${NAMESPACE}.svc.cluster.local:27017/shoal?authSource=admin`;
  const body = { metadata: { name: 'mongodb-uri' }, stringData: { uri } };
  await core.createNamespacedSecret({ namespace: NAMESPACE, body });
  await external.install({
    'mongodb.enabled': false,
    'mongodb.external.existingSecret': 'mongodb-uri',
    'index.replicas': 2,
    'peer.replicas': 2,
  });
  await external.waitForPeers(2);
  const { sha256 } = await external.putRandom(1, 'external.bin', { mib: 5, replicas: 1 });
  expect(await external.digestAfterGet(0, 'external.bin')).toBe(sha256);
  expect(await external.pods('index')).toHaveLength(2);
  expect(await external.pods('mongodb')).toEqual([]);

  // Neither release sees the other's peers or files.
  expect(JSON.parse(await embedded.shoal(0, 'ls', '--output', 'json'))).toMatchObject({
    files: [{ name: 'embedded.bin' }],
  });
  expect((await embedded.peers(0)).map(({ name }) => name).sort()).toEqual([
    'shoal-embedded-peer-0',
    'shoal-embedded-peer-1',
  ]);
});

noContainerRestarted(NAMESPACES);

/** What the user of an external MongoDB has: one that is no part of the chart. */
async function startMongodb(): Promise<void> {
  await ensureNamespace(NAMESPACE);
  const labels = { app: MONGODB };
  await core.createNamespacedService({
    namespace: NAMESPACE,
    body: { metadata: { name: MONGODB }, spec: { selector: labels, ports: [{ port: 27017 }] } },
  });
  await core.createNamespacedPod({
    namespace: NAMESPACE,
    body: {
      metadata: { name: MONGODB, labels },
      spec: {
        automountServiceAccountToken: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 999,
          fsGroup: 999,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        containers: [
          {
            name: 'mongodb',
            image: 'mongo:8.0',
            env: [
              { name: 'MONGO_INITDB_ROOT_USERNAME', value: 'root' },
              { name: 'MONGO_INITDB_ROOT_PASSWORD', value: PASSWORD },
            ],
            readinessProbe: { tcpSocket: { port: 27017 }, periodSeconds: 1 },
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            volumeMounts: [{ name: 'data', mountPath: '/data/db' }],
          },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
  });
  await eventually('the MongoDB of yours is ready', 120_000, async () =>
    isReady(await core.readNamespacedPod({ namespace: NAMESPACE, name: MONGODB })),
  );
}
