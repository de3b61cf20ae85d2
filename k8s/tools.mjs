// The programs that others wrote and ours drive: docker, kind, kubectl, helm. Runs before or without a build.

import { spawn, spawnSync } from 'node:child_process';
import { root } from '../scripts/setup.mjs';

const TOOLS = {
  docker: 'https://docs.docker.com/get-started/get-docker/',
  kind: 'https://kind.sigs.k8s.io/docs/user/quick-start/#installation',
  kubectl: 'https://kubernetes.io/docs/tasks/tools/',
  helm: 'https://helm.sh/docs/intro/install/',
};

/** How much of what a failed command printed is shown. */
const LAST_LINES = 60;

/**
 * What is missing, a line each that says what and where to get it; empty when all is there.
 *
 * @param {(keyof typeof TOOLS)[]} names
 */
export function missingTools(names) {
  const missing = names.filter((name) => spawnSync(name, ['--help'], { stdio: 'ignore' }).error !== undefined);
  const lines = missing.map((name) => `${name} is not installed, or not on the PATH: see ${TOOLS[name]}`);
  if (names.includes('docker') && !missing.includes('docker')) {
    const info = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { encoding: 'utf8' });
    if (info.status !== 0) {
      const why = info.stderr.trim().split('\n').at(-1);
      lines.push(`the Docker engine does not answer (${why}): start Docker, or see ${TOOLS.docker}`);
    }
  }
  return lines;
}

/** A command that failed. The message names it and ends with the last lines that it printed. */
export class CommandFailed extends Error {
  /** @param {string} message @param {number | null} code the exit code; null when a signal ended it or it did not start */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/**
 * Runs a command and resolves to what it printed on standard output. Rejects with {@link CommandFailed} when it fails.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string | undefined>, signal?: AbortSignal, input?: string }} [options] `env` is added to our own
 * @returns {Promise<string>}
 */
export function run(command, args, { env = {}, signal, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, signal });
    let out = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
      all += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (all += text));
    // Who does not read to the end says by its exit code whether that was right.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const line = [command, ...args].join(' ');
    child.on('error', (error) => reject(new CommandFailed(`${line}: ${error.message}`, null)));
    child.on('close', (code, endedBy) => {
      if (code === 0) return resolve(out);
      const printed = all.trimEnd().split('\n').slice(-LAST_LINES).join('\n');
      reject(new CommandFailed(`${line}: ${endedBy ?? `exit code ${code}`}\n${printed}`, code));
    });
  });
}

/**
 * Does one step of a script and tells on standard error how long it took.
 *
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  process.stderr.write(`${title} ... `);
  const start = performance.now();
  try {
    const result = await work();
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
}
