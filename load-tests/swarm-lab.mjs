// The inside of `npm run bench:swarm`: process 1 of its namespaces. What it leaves running ends with it.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ChildProgram } from '../scripts/child-program.mjs';
import { folderFromRoot, indexProgram, peerProgram } from '../scripts/local-swarm.mjs';
import { root } from '../scripts/setup.mjs';
import { findProgram, plainEnvironment } from './bench-command.mjs';

const PORTS = { index: 5000, grpc: 4999, http: 5001 };

const { parent, ...options } = JSON.parse(process.argv[2] ?? '{}');
const stopping = new AbortController();
process.stdin.resume().once('end', () => stopping.abort(new Error('interrupted')));

// Names of network namespaces are files: here they are seen by nobody else.
mkdirSync('/run/netns', { recursive: true });
execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run/netns']);
const folder = await mkdtemp(join(resolve(parent), 'bench-'));
const joinSecretFile = join(folder, 'join-secret');
writeFileSync(joinSecretFile, randomBytes(24).toString('hex'), { mode: 0o600 });
process.exit(await main());

async function main() {
  try {
    const { runSwarmBench } = await import('../dist/load-tests/swarm/swarm-bench.js');
    const isStopped = new Promise((_, reject) => {
      stopping.signal.addEventListener('abort', () => reject(stopping.signal.reason));
    });
    const bench = runSwarmBench(
      {
        folder,
        environment: plainEnvironment(),
        shoal: join(root, 'dist/peer/cli.js'),
        findProgram,
        startIndex,
        startPeer,
        say: (text) => console.error(`bench: ${text} ...`),
        signal: stopping.signal,
      },
      options,
    );
    // Whatever it waits for may never come.
    const report = await Promise.race([bench, isStopped]);
    await rm(folder, { recursive: true, force: true });
    console.log(report);
    return 0;
  } catch (error) {
    const isInterrupted = stopping.signal.aborted;
    endAllOthers();
    await removeAllButLogs(isInterrupted);
    console.error(`bench:swarm: ${isInterrupted ? 'interrupted' : error.stack}`);
    if (!isInterrupted) console.error(`The logs of the programs are in ${folder}.`);
    return isInterrupted ? 130 : 1;
  }
}

/** Everybody else in here: process 1 of a PID namespace reaches nobody outside (kill(2), pid_namespaces(7)). */
function endAllOthers() {
  if (process.pid !== 1) return;
  try {
    process.kill(-1, 'SIGKILL');
  } catch (error) {
    // Nobody else is left.
    if (error.code !== 'ESRCH') throw error;
  }
}

async function removeAllButLogs(isAll) {
  for (const name of await readdir(folder)) {
    if (isAll || name !== 'logs') await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 });
  }
  if (isAll) await rm(folder, { recursive: true, force: true });
}

async function startIndex({ folder: dataDir, address }) {
  const program = indexProgram({ port: PORTS.index, dataDir: folderFromRoot(dataDir) });
  return await started({
    ...program,
    url: `http://${address}:${PORTS.index}`,
    environment: { ...program.environment, SHOAL_LISTEN_ADDRESS: address, SHOAL_JOIN_SECRET_FILE: joinSecretFile },
  });
}

async function startPeer({ folder: dataDir, node, number, index }) {
  const program = peerProgram(number, { port: PORTS.index, dataDir: folderFromRoot(dataDir) });
  const peer = await started({
    ...program,
    launcher: node.inside,
    url: `http://${node.controlAddress}:${PORTS.http}`,
    environment: {
      ...program.environment,
      SHOAL_INDEX_URL: index.url,
      SHOAL_JOIN_SECRET_FILE: joinSecretFile,
      SHOAL_LISTEN_ADDRESS: '0.0.0.0',
      SHOAL_ADVERTISE_ADDRESS: `${node.address}:${PORTS.grpc}`,
      SHOAL_GRPC_PORT: String(PORTS.grpc),
      SHOAL_HTTP_PORT: String(PORTS.http),
    },
  });
  return { ...peer, socket: resolve(root, program.socket) };
}

async function started(program) {
  const child = new ChildProgram({ ...program, logFile: join(folder, 'logs', `${program.name}.log`) });
  if (!(await child.becomesReady(stopping.signal))) {
    stopping.signal.throwIfAborted();
    throw new Error(`${child.name} did not become ready:\n${child.lastLog().join('\n')}`);
  }
  return { name: child.name, pid: child.pid, url: program.url, ended: child.ended, kill: (how) => child.kill(how) };
}
