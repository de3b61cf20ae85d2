// `npm run bench:index [-- OPTION ...]`: what docs/performance.md tells of the index. Set-up, then a store with many files,
// an index as a process of its own on it, and many peers; a report in Markdown on stdout, what it does meanwhile on stderr.

import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root, setUp } from '../scripts/setup.mjs';
import { wholeNumber } from './bench-command.mjs';
import { BenchSwarms } from './passing-swarms.mjs';

const USAGE = `npm run bench:index [-- OPTION ...]
  --files N         files in the catalogue (default 1000000)
  --peers N         peers that join and send heartbeats (default 10000)
  --rate N          requests a second (default 500)
  --seconds N       how long each question is asked (default 5)
  --beat-seconds N  how long heartbeats are watched with nothing else going on (default 20)
  --dir FOLDER      where the data goes while it runs (default data)
  --keep            leave the filled stores in FOLDER/bench-index, and use those that are there`;
/** Of a store, for one file; and as much again for its log and what is passing. */
const BYTES_PER_FILE = 6000;

const options = readOptions();
if (process.platform !== 'linux') {
  console.error('bench:index: CPU time and memory are read from /proc, which only Linux has');
  process.exit(1);
}
setUp();

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => stopping.abort(new Error('interrupted')));

await mkdir(options.parent, { recursive: true });
await requireSpace();
const folder = options.keep
  ? join(resolve(options.parent), 'bench-index')
  : await mkdtemp(join(options.parent, 'bench-'));
await mkdir(folder, { recursive: true });
const swarms = new BenchSwarms({ folder, signal: stopping.signal });
process.on('exit', () => swarms.killAll());
process.exitCode = await main();

async function main() {
  try {
    const { runIndexBench } = await import('../dist/load-tests/index/index-bench.js');
    const report = await runIndexBench(
      {
        folder,
        startIndex: (dataDir) => swarms.startIndex(dataDir),
        say: (text) => console.error(`bench: ${text} ...`),
        signal: stopping.signal,
      },
      options.bench,
    );
    await removeUnlessKept();
    console.log(report);
    return 0;
  } catch (error) {
    const isInterrupted = stopping.signal.aborted;
    await swarms.stopAll();
    if (isInterrupted) await removeUnlessKept();
    console.error(`bench:index: ${isInterrupted ? 'interrupted' : error.stack}`);
    if (error.cause && !isInterrupted) console.error(error.cause);
    if (!isInterrupted) console.error(`The data and the logs are in ${folder}.`);
    return isInterrupted ? 130 : 1;
  }
}

async function removeUnlessKept() {
  if (!options.keep) await rm(folder, { recursive: true, force: true });
}

async function requireSpace() {
  const wanted = options.bench.files * BYTES_PER_FILE + 2 ** 28;
  const { bavail, bsize } = await statfs(options.parent);
  if (bavail * bsize >= wanted) return;
  const gibibytes = (size) => (size / 2 ** 30).toFixed(1);
  console.error(
    `bench:index: ${options.parent} has ${gibibytes(bavail * bsize)} GiB free, and ${gibibytes(wanted)} GiB are needed; ` +
      'name another place with --dir, or fewer files with --files',
  );
  process.exit(1);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        files: { type: 'string', default: '1000000' },
        peers: { type: 'string', default: '10000' },
        rate: { type: 'string', default: '500' },
        seconds: { type: 'string', default: '5' },
        'beat-seconds': { type: 'string', default: '20' },
        dir: { type: 'string', default: join(root, 'data') },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const bench = {
      files: wholeNumber('--files', values.files, 1_000_000_000),
      // One connection each, and a process may have so many open files.
      peers: wholeNumber('--peers', values.peers, 15_000),
      rate: wholeNumber('--rate', values.rate, 100_000),
      seconds: wholeNumber('--seconds', values.seconds, 3600),
      beatSeconds: wholeNumber('--beat-seconds', values['beat-seconds'], 3600),
    };
    return { bench, keep: values.keep, parent: values.dir };
  } catch (error) {
    console.error(`bench:index: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}
