// `npm start [-- OPTION ...]`: a swarm on this machine, each program a process of its own.
//
// set-up -> ports free? -> index, wait until ready -> peers, wait until ready -> print the tour -> wait for Ctrl-C or for a
// program that fails -> peers stop, then the index. A program that somebody ends from outside is let go: that is how
// people see what a swarm does without it.

import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ChildProgram, portTrouble } from './child-program.mjs';
import { folderFromRoot, indexProgram, MOST_PEERS, peerProgram } from './local-swarm.mjs';
import { root, setUp } from './setup.mjs';
import { tour } from './tour.mjs';

const USAGE = `npm start [-- OPTION ...]
  --peers N      start the index and N peers (default 3, at most ${MOST_PEERS})
  --peer N       start peer N alone, beside an index that runs
  --port PORT    port of the index (default 5000); peer N has PORT-N for gRPC and PORT+N for HTTP
  --data FOLDER  where all data is (default data)`;

/** Ctrl-C in a terminal arrives twice under npm: from the terminal, and forwarded. */
const ECHO_MS = 1000;
const STOP_MS = 60_000;

const options = readOptions();
setUp();

const stopping = new AbortController();
/** @type {ChildProgram[]} in the order in which they were started */
const children = [];
const ready = new Set();
let exitCode = 0;

listenForSignals();
// Nothing is left behind, whatever goes wrong here.
process.on('exit', () => killAll('left over'));
await main();
process.exit(exitCode);

async function main() {
  const index = indexProgram(options);
  const peers = options.peerNumbers.map((number) => peerProgram(number, options));
  const programs = options.isAlone ? peers : [index, ...peers];
  if (!(await portsAreFree(programs))) return;
  const stages = options.isAlone ? [peers] : [[index], peers];
  for (const stage of stages) {
    if (!(await start(stage))) break;
  }
  if (!stopping.signal.aborted) {
    const running = children.map((child) => ({ ...child.program, pid: child.pid }));
    console.log(options.isAlone ? aloneNotice(running[0]) : tour(running, { ...options, next: peers.length + 1 }));
    await aborted(stopping.signal);
  }
  await stop();
}

/** Starts programs side by side. False when one failed or we were told to stop meanwhile. */
async function start(programs) {
  console.log(`starting ${programs.map((program) => program.name).join(', ')} ...`);
  const started = programs.map((program) => new ChildProgram(program));
  children.push(...started);
  for (const child of started) watch(child);
  await Promise.all(
    started.map(async (child) => {
      if (await child.becomesReady(stopping.signal)) ready.add(child);
    }),
  );
  const late = started.find((child) => !ready.has(child) && child.isRunning);
  if (late && !stopping.signal.aborted) fail(late, 'is not ready after a minute');
  return !stopping.signal.aborted;
}

function watch(child) {
  child.ended.then(({ code, signal, error }) => {
    if (stopping.signal.aborted) return;
    const how = error
      ? `did not start: ${error.message}`
      : signal
        ? `was ended by ${signal}`
        : `ended with exit code ${code}`;
    const isFromOutside = code === 0 || ['SIGINT', 'SIGTERM', 'SIGKILL'].includes(signal);
    const isPeer = child.program.command === 'peer';
    if (!isFromOutside || !ready.has(child)) fail(child, how);
    else {
      const again = isPeer
        ? `start it again with: npm start -- ${options.startOptions}--peer ${child.name.slice('peer-'.length)}`
        : 'Ctrl-C and `npm start` bring it back';
      console.log(`${child.name} ${how}. The others run on; ${again}`);
    }
  });
}

function fail(child, how) {
  exitCode = 1;
  console.error(`${child.name} ${how}. The end of ${child.program.logFile}:`);
  for (const line of child.lastLog()) console.error(`  ${line}`);
  stopping.abort();
}

/** Peers first: they tell the index that they leave. */
async function stop() {
  for (const command of ['peer', 'index']) {
    const ending = children.filter((child) => child.program.command === command && child.isRunning);
    if (ending.length === 0) continue;
    console.log(`stopping ${ending.map((child) => child.name).join(', ')} ...`);
    for (const child of ending) child.kill('SIGTERM');
    const timer = setTimeout(() => killAll('not stopped within a minute'), STOP_MS);
    const ends = await Promise.all(ending.map((child) => child.ended));
    clearTimeout(timer);
    for (const [i, { code, signal }] of ends.entries()) {
      if (code === 0) continue;
      exitCode = 1;
      console.error(`${ending[i].name} ended with ${signal ?? `exit code ${code}`} instead of stopping cleanly`);
    }
  }
}

function killAll(why) {
  const left = children.filter((child) => child.isRunning);
  if (left.length > 0) console.error(`killing ${left.map((child) => child.name).join(', ')}: ${why}`);
  for (const child of left) child.kill('SIGKILL');
}

function listenForSignals() {
  let firstAt;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      firstAt ??= Date.now();
      if (!stopping.signal.aborted) stopping.abort();
      else if (Date.now() - firstAt > ECHO_MS) killAll('told twice to stop');
    });
  }
}

async function portsAreFree(programs) {
  for (const program of programs) {
    for (const port of program.ports) {
      const trouble = await portTrouble(port);
      if (!trouble) continue;
      const what = trouble === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used (${trouble})`;
      console.error(`start: port ${port}, which ${program.name} needs, ${what}.`);
      console.error(
        `Is Shoal running already? \`lsof -i :${port}\` says who has it. Stop that, or choose other ports:`,
      );
      console.error('  npm start -- --port 6000');
      exitCode = 1;
      return false;
    }
  }
  return true;
}

function aloneNotice({ name, url, address, socket, pid }) {
  return `
${name} runs: HTTP ${url}, gRPC ${address}, pid ${pid}. Ctrl-C stops it. In another terminal, in this folder:

  SHOAL_SOCKET=${socket} npx shoal status
`;
}

function aborted(signal) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        peers: { type: 'string' },
        peer: { type: 'string' },
        port: { type: 'string', default: '5000' },
        data: { type: 'string', default: 'data' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    if (values.peer && values.peers) throw new Error('give --peers or --peer, not both');
    const isAlone = values.peer !== undefined;
    const number = isAlone
      ? wholeNumber('--peer', values.peer, 1, MOST_PEERS)
      : wholeNumber('--peers', values.peers ?? '3', 1, MOST_PEERS);
    return {
      isAlone,
      peerNumbers: isAlone ? [number] : Array.from({ length: number }, (_, i) => i + 1),
      port: wholeNumber('--port', values.port, 1024 + MOST_PEERS, 65535 - MOST_PEERS),
      dataDir: dataFolder(values.data),
      startOptions: ['port', 'data']
        .filter((name) => values[name] !== { port: '5000', data: 'data' }[name])
        .map((name) => `--${name} ${values[name]} `)
        .join(''),
    };
  } catch (error) {
    console.error(`start: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** The folder is there afterwards. */
function dataFolder(path) {
  const folder = folderFromRoot(path);
  try {
    mkdirSync(resolve(root, folder), { recursive: true });
  } catch (error) {
    const isFile = error.code === 'EEXIST' || error.code === 'ENOTDIR';
    throw new Error(`--data is '${path}', ${isFile ? 'not a folder' : `which cannot be made: ${error.message}`}`);
  }
  return folder;
}

function wholeNumber(option, text, min, max) {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${option} is '${text}', not a whole number from ${min} to ${max}`);
}
