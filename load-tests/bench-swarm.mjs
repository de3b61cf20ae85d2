// `npm run bench:swarm [-- OPTION ...]`: what docs/performance.md quotes of crowds. Everything happens in namespaces of its
// own (network, processes, mounts), made by unshare(1) around load-tests/swarm-lab.mjs: when that ends, however it ends, the
// kernel ends every process in there and takes every link away, and the machine's own network has never been touched.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, setUp } from '../scripts/setup.mjs';
import { findProgram, wholeNumber } from './bench-command.mjs';

const USAGE = `npm run bench:swarm [-- OPTION ...]
  --scenario ID[,ID ...]   what to measure (default crowd-4)
  --all                    every scenario there is; takes more than an hour
  --list                   prints the scenarios and ends
  --peers N --mbit N --mib N [--files N]
                           a crowd of your own instead: peers that want the file, rate of each link, size; with
                           --files a folder of so many files
  --systems NAME[,NAME]    of shoal, libtorrent, aria2, curl, rsync (default all)
  --congestion-control NAME
                           of TCP, at every node (default cubic, as on most machines, where the kernel has it)
  --shaper tbf|htb|userland
                           what limits links: the kernel, or a program (default the first that there is)
  --runs N                 how often each is run (default 3; curl runs once)
  --dir FOLDER             where the data goes while it runs (default data)`;

setUp();
const { SCENARIOS, DEFAULT_SCENARIOS, crowdScenario, setScenario } = await import(
  '../dist/load-tests/swarm/scenarios.js'
);
const { SYSTEM_NAMES } = await import('../dist/load-tests/swarm/crowd.js');
const { MOST_NODES, SHAPERS } = await import('../dist/load-tests/swarm/lab-plan.js');

const options = readOptions();
await requireMeans();
await mkdir(options.parent, { recursive: true });
process.exitCode = await runInside();

/** Resolves to the exit code of the lab. */
async function runInside() {
  const script = join(root, 'load-tests/swarm-lab.mjs');
  const child = spawn(
    'unshare',
    [
      ...['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'],
      ...[process.execPath, script, JSON.stringify(options)],
    ],
    { stdio: ['pipe', 'inherit', 'inherit'], detached: true },
  );
  // The end of its standard input tells the lab to stop: unshare passes no signals on, and this one comes even when this
  // process is killed.
  child.stdin.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.stdin.end());
  return await new Promise((resolve) => {
    child.once('error', (error) => {
      console.error(`bench:swarm: ${error.message}`);
      resolve(1);
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function requireMeans() {
  if (process.platform !== 'linux') fail('network namespaces and shaped links are things of Linux');
  if (process.getuid?.() !== 0)
    fail('it makes network namespaces and shapes their links, for which it must run as root');
  for (const [program, packageName] of [
    ['ip', 'iproute2'],
    ['tc', 'iproute2'],
    ['unshare', 'util-linux'],
    ['nsenter', 'util-linux'],
  ]) {
    if ((await findProgram(program)) === undefined)
      fail(`${program} is not installed (Debian: apt-get install ${packageName})`);
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        scenario: { type: 'string' },
        all: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        peers: { type: 'string' },
        mbit: { type: 'string' },
        mib: { type: 'string' },
        files: { type: 'string' },
        systems: { type: 'string', default: SYSTEM_NAMES.join(',') },
        'congestion-control': { type: 'string' },
        shaper: { type: 'string', default: SHAPERS.join(',') },
        runs: { type: 'string', default: '3' },
        dir: { type: 'string', default: join(root, 'data') },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) end(USAGE);
    if (values.list) end(SCENARIOS.map(({ id, title }) => `${id.padEnd(20)}${title}`).join('\n'));
    return {
      runs: wholeNumber('--runs', values.runs, 99),
      scenarios: scenariosOf(values),
      systems: chosen('--systems', values.systems, SYSTEM_NAMES),
      shapers: chosen('--shaper', values.shaper, SHAPERS),
      congestionControl: congestionControlOf(values['congestion-control']),
      command: ['npm run bench:swarm', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
      parent: values.dir,
    };
  } catch (error) {
    console.error(`bench:swarm: ${error.message}\n${USAGE}`);
    return process.exit(2);
  }
}

function scenariosOf({ scenario, all, peers, mbit, mib, files }) {
  const own = [peers, mbit, mib];
  if (own.some((value) => value !== undefined)) {
    if (own.includes(undefined)) throw new Error('--peers, --mbit and --mib go together');
    if (scenario !== undefined || all) throw new Error('a crowd of your own cannot be named too');
    const crowd = [wholeNumber('--peers', peers, MOST_NODES - 1), wholeNumber('--mbit', mbit, 10_000)];
    const bytes = wholeNumber('--mib', mib, 2 ** 20) * 2 ** 20;
    return [
      files === undefined ? crowdScenario(...crowd, bytes) : ownSet(crowd, bytes, wholeNumber('--files', files, 1e6)),
    ];
  }
  if (files !== undefined) throw new Error('--files goes with --peers, --mbit and --mib');
  if (all && scenario !== undefined) throw new Error('--all and --scenario exclude each other');
  if (all) return SCENARIOS;
  const ids = chosen(
    '--scenario',
    scenario ?? DEFAULT_SCENARIOS.join(','),
    SCENARIOS.map(({ id }) => id),
  );
  return SCENARIOS.filter(({ id }) => ids.includes(id));
}

function ownSet([peers, mbit], bytes, files) {
  return setScenario(`set-${files}`, { peers, mbit, files, fileBytes: Math.floor(bytes / files) });
}

/** New network namespaces take over what this machine uses, which is not what the next one does. */
function congestionControlOf(wanted) {
  const read = (name) => readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim();
  const available = read('tcp_available_congestion_control').split(' ');
  if (wanted === undefined) return available.includes('cubic') ? 'cubic' : read('tcp_congestion_control');
  return chosen('--congestion-control', wanted, available)[0];
}

function chosen(option, text, known) {
  const names = text.split(',');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${option} has '${unknown}', which is none of ${known.join(', ')}`);
  return names;
}

function fail(why) {
  console.error(`bench:swarm: ${why}`);
  process.exit(1);
}

function end(text) {
  console.log(text);
  process.exit(0);
}
