import { readFile } from 'node:fs/promises';
import { core, podsOf } from './testing/cluster.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const EXAMPLE = 'k8s/examples/application.yaml';
const PASSWORD = 'correct horse battery';

let manifest: string;

beforeAll(async () => {
  await ensureShared();
  const example = await readFile(EXAMPLE, 'utf8');
  manifest = example.replace(/curlimages\/curl:\S+/, process.env['SHOAL_E2E_CURL_IMAGE'] ?? '');
  expect(manifest).not.toBe(example);
});

afterAll(async () => {
  await shared.kubectl(['delete', '--filename', '-', '--wait'], { input: manifest });
  await core.deleteNamespacedSecret({ namespace: shared.namespace, name: 'application-account' });
});

// The commands are those of docs/kubernetes.md.
story('the Deployment of the docs gets its file with curl and a token before it starts', NAMESPACES, async () => {
  const { sha256 } = await shared.putRandom(0, 'model.bin', { mib: 20, replicas: 1 });
  const register = [
    'env',
    'SHOAL_SESSION_FILE=/tmp/application',
    'shoal',
    'register',
    'application',
    '--password-stdin',
  ];
  await shared.exec('shoal-peer-0', register, { input: PASSWORD });
  const login = JSON.stringify({ username: 'application', password: PASSWORD });
  const body = { metadata: { name: 'application-account' }, stringData: { 'login.json': login } };
  await core.createNamespacedSecret({ namespace: shared.namespace, body });
  await shared.kubectl(['apply', '--filename', '-'], { input: manifest });
  await shared.kubectl(['rollout', 'status', 'deployment/application', '--timeout=120s']);

  const pods = await podsOf(shared.namespace, { app: 'application' });
  expect(pods).toHaveLength(2);
  for (const pod of pods) {
    const log = await shared.kubectl(['logs', pod.metadata?.name ?? '', '--container', 'application']);
    expect(log).toContain(`${sha256}  /data/model.bin`);
  }
});

noContainerRestarted(NAMESPACES);
