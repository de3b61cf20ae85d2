// `npm run chart:test`: renders the chart in many ways and looks at what comes out; needs Helm, and promtool or Docker.
// Arguments go to jest.

import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from '../scripts/setup.mjs';

const PROMETHEUS_IMAGE = 'prom/prometheus:v3.5.0';

const helm = process.env.HELM ?? 'helm';
if (!works(helm, ['version'])) {
  stop(`${helm} does not run; get Helm 3 or 4: https://helm.sh/docs/intro/install/`);
}
const promtool = findPromtool();
if (!promtool) {
  stop(
    'promtool is missing: apt-get install prometheus, or https://prometheus.io/download/, or a Docker engine for its image',
  );
}

setUp({ isBuildWanted: false });

const options = [process.env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = spawn(
  process.execPath,
  [join(root, 'node_modules/jest/bin/jest.js'), '--config', 'charts/jest.config.mjs', ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: options.filter(Boolean).join(' '), PROMTOOL: JSON.stringify(promtool) },
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
jest.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));

/** How to call promtool, with its paths beginning in charts/. */
function findPromtool() {
  if (works('promtool', ['--version'])) return ['promtool'];
  if (!works('docker', ['version'])) return undefined;
  const mount = `${join(root, 'charts')}:/charts:ro`;
  return [
    'docker',
    'run',
    '--rm',
    '--volume',
    mount,
    '--workdir',
    '/charts',
    '--entrypoint',
    'promtool',
    PROMETHEUS_IMAGE,
  ];
}

function works(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function stop(message) {
  console.error(`chart:test: ${message}`);
  process.exit(1);
}
