// `npm run e2e [-- STORY ...]`: the stories of k8s/e2e, told in a kind cluster of their own. `npm run e2e:all` tells all.
// Further arguments go to jest.
//
// tools there? -> cluster -> image built -> images loaded -> jest -> cluster deleted.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, setUp } from '../scripts/setup.mjs';
import { buildImage, deleteCluster, ensureCluster, loadImages } from './cluster.mjs';
import { STORY_LABEL } from './e2e/stories.mjs';
import { CommandFailed, missingTools, run, step } from './tools.mjs';

const OUR_CLUSTER = 'shoal-e2e';
const IMAGE = 'shoal:e2e';
const CURL_IMAGE = 'shoal-curl:e2e';
const OTHER_IMAGES = ['mongo:8.0', 'prom/prometheus:v3.5.0', 'busybox:1.36'];

// Another kind cluster may be named to save the time of making one; it stays, and so does its user's kubeconfig.
const cluster = process.env.SHOAL_E2E_CLUSTER ?? OUR_CLUSTER;
const isOurs = cluster === OUR_CLUSTER;
const isKept = process.env.SHOAL_E2E_KEEP === 'true';
const isAll = process.argv[2] === '--all';
const jestArguments = process.argv.slice(isAll ? 3 : 2);

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort());
const { signal } = stopping;

const missing = missingTools(['docker', 'kind', 'kubectl', 'helm']);
for (const line of missing) console.error(`e2e: ${line}`);
if (missing.length > 0) process.exit(1);

setUp({ isBuildWanted: false });
const folder = await mkdtemp(join(tmpdir(), 'shoal-e2e-'));
const kubeconfig = join(folder, 'kubeconfig');
await attempt(async () => {
  process.exitCode = await main();
});
await attempt(async () => {
  if (isOurs && !isKept) await deleteCluster(cluster, { kubeconfig });
  else console.error(`e2e: the cluster ${cluster} stays; \`kind delete cluster --name ${cluster}\` deletes it`);
});
await rm(folder, { recursive: true, force: true });

/** Does something; when a command in it fails, says so, and this script will fail too. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted && !(error instanceof CommandFailed)) throw error;
    console.error(`e2e: ${signal.aborted ? 'interrupted' : error.message}`);
    process.exitCode = signal.aborted ? 130 : 1;
  }
}

async function main() {
  const isNew = await ensureCluster(cluster, { kubeconfig, signal });
  if (!isNew) await deleteNamespaces();
  await buildImage(IMAGE, { signal });
  await buildImage(CURL_IMAGE, { signal, dockerfile: 'k8s/e2e/curl.Dockerfile' });
  const toPull = await loadImages(cluster, [IMAGE, CURL_IMAGE, ...OTHER_IMAGES], { signal });
  if (toPull.length > 0) console.error(`e2e: the cluster will pull ${toPull.join(', ')}`);
  const code = await runJest();
  if (!isOurs && !isKept) await deleteNamespaces();
  return code;
}

/** What an earlier run left, or this one. */
async function deleteNamespaces() {
  const args = ['delete', 'namespaces', '--selector', STORY_LABEL, '--wait', '--timeout=180s'];
  await step('deleting the namespaces of stories', () =>
    run('kubectl', args, { env: { KUBECONFIG: kubeconfig }, signal }),
  );
}

function runJest() {
  const nodeOptions = [process.env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const args = ['node_modules/jest/bin/jest.js', '--config', 'k8s/e2e/jest.config.mjs', ...jestArguments];
  const jest = spawn(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_OPTIONS: nodeOptions.filter(Boolean).join(' '),
      KUBECONFIG: kubeconfig,
      SHOAL_E2E_IMAGE: IMAGE,
      SHOAL_E2E_CURL_IMAGE: CURL_IMAGE,
      SHOAL_E2E_ALL: String(isAll),
    },
  });
  signal.addEventListener('abort', () => jest.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    jest.on('error', reject);
    jest.on('exit', (code) => resolve(code ?? 1));
  });
}
