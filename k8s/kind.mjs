// `npm run kind [-- OPTION ...]`: a kind cluster with all of Shoal in it. A second run builds again and upgrades.
// `npm run kind:down` deletes it.
//
// tools there? -> cluster -> image built, loaded -> chart installed or upgraded -> the tour.

import { parseArgs } from 'node:util';
import { buildImage, clusterNames, deleteCluster, ensureCluster, loadImages } from './cluster.mjs';
import { diagnose } from './diagnostics.mjs';
import { kindTour } from './kind-tour.mjs';
import { CommandFailed, missingTools, run, step } from './tools.mjs';

const USAGE = `npm run kind [-- OPTION ...]      npm run kind:down [-- --name NAME]
  --name NAME          the kind cluster (default shoal)
  --namespace NAME     where the chart is installed (default default)
  --set KEY=VALUE      a value of the chart, as with helm; may be repeated
  --values FILE        values of the chart, as with helm; may be repeated
KIND_IMAGE names the node image, and so the version of Kubernetes; without it kind's own default is taken.`;

const REPOSITORY = 'shoal';
const RELEASE = 'shoal';

const options = readOptions();
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort());
const { signal } = stopping;

try {
  await (options.isDown ? down() : up());
} catch (error) {
  if (!signal.aborted && !(error instanceof CommandFailed)) throw error;
  console.error(`kind: ${signal.aborted ? 'interrupted; run it again to go on' : error.message}`);
  process.exitCode = signal.aborted ? 130 : 1;
}

async function up() {
  requireTools(['docker', 'kind', 'kubectl', 'helm']);
  await ensureCluster(options.name, { signal });
  const image = await buildAndTag();
  await loadImages(options.name, [image, 'mongo:8.0'], { signal });
  await install(image);
  console.log(kindTour(options));
}

async function down() {
  requireTools(['docker', 'kind']);
  if ((await clusterNames()).includes(options.name)) await deleteCluster(options.name, {});
  else console.error(`kind: there is no cluster ${options.name}`);
}

/** The tag is made of the image's contents, so that an upgrade restarts pods when the image changed, and only then. */
async function buildAndTag() {
  const id = await buildImage(`${REPOSITORY}:kind`, { signal });
  const image = `${REPOSITORY}:kind-${id.slice(0, 12)}`;
  await run('docker', ['tag', `${REPOSITORY}:kind`, image], { signal });
  const format = '{{.Repository}}:{{.Tag}}';
  const tagged = await run('docker', ['image', 'ls', '--format', format, '--filter', `reference=${REPOSITORY}:kind-*`]);
  const old = tagged.split('\n').filter((name) => name !== '' && name !== image);
  if (old.length > 0) await run('docker', ['rmi', ...old], { signal });
  return image;
}

async function install(image) {
  const context = ['--kube-context', `kind-${options.name}`, '--namespace', options.namespace];
  const own = { 'image.registry': '', 'image.repository': REPOSITORY, 'image.tag': image.split(':')[1] };
  const values = [
    ...Object.entries(own).flatMap(([key, value]) => ['--set-string', `${key}=${value}`]),
    ...options.values.flatMap((file) => ['--values', file]),
    ...options.set.flatMap((value) => ['--set', value]),
  ];
  const args = ['upgrade', '--install', RELEASE, 'charts/shoal', '--create-namespace', '--wait', '--timeout', '10m'];
  try {
    await step('installing the chart', () => run('helm', [...args, ...context, ...values], { signal }));
  } catch (error) {
    if (!signal.aborted) console.error(await diagnose(options.namespace));
    throw error;
  }
}

function requireTools(names) {
  const missing = missingTools(names);
  if (missing.length === 0) return;
  for (const line of missing) console.error(`kind: ${line}`);
  process.exit(1);
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        name: { type: 'string', default: 'shoal' },
        namespace: { type: 'string', default: 'default' },
        set: { type: 'string', multiple: true, default: [] },
        values: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const [verb = 'up', ...more] = positionals;
    if (!['up', 'down'].includes(verb) || more.length > 0) throw new Error(`unknown: ${positionals.join(' ')}`);
    return { ...values, isDown: verb === 'down' };
  } catch (error) {
    console.error(`kind: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}
