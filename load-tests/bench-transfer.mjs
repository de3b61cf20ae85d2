// `npm run bench:transfer [-- OPTION ...]`: what the README and docs/performance.md quote. Set-up, then an index and peers
// as separate processes with passing data, then a report in Markdown on stdout; what it does meanwhile goes to stderr.

import { mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, setUp } from '../scripts/setup.mjs';
import { findProgram, plainEnvironment, wholeNumber } from './bench-command.mjs';
import { BenchSwarms, freePort } from './passing-swarms.mjs';

const USAGE = `npm run bench:transfer [-- OPTION ...]
  --runs N           how often the large file is moved (default 3)
  --mib N            its size in MiB (default 1024)
  --big              also move one of four times that size, for the memory that it takes
  --door-seconds N   how long small files are asked for over HTTP, each time (default 4)
  --files N          files in the catalogue that is listed (default 100000)
  --commands N       how often each command is started whose time is that of starting it (default 10)
  --dir FOLDER       where the data goes while it runs (default data)`;

const options = readOptions();
if (process.platform !== 'linux') {
  console.error('bench:transfer: CPU time and memory are read from /proc, which only Linux has');
  process.exit(1);
}
setUp();

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => stopping.abort(new Error('interrupted')));

await mkdir(options.parent, { recursive: true });
await requireSpace();
const folder = await mkdtemp(join(options.parent, 'bench-'));
const swarms = new BenchSwarms({ folder, signal: stopping.signal });
process.on('exit', () => swarms.killAll());
process.exitCode = await main();

async function main() {
  try {
    const { runTransferBench } = await import('../dist/load-tests/transfer/transfer-bench.js');
    const report = await runTransferBench(
      {
        folder,
        environment: plainEnvironment(),
        shoal: join(root, 'dist/peer/cli.js'),
        findProgram,
        freePort,
        startSwarm: (peers) => swarms.start(peers),
        say: (text) => console.error(`bench: ${text} ...`),
        signal: stopping.signal,
      },
      options.bench,
    );
    await rm(folder, { recursive: true, force: true });
    console.log(report);
    return 0;
  } catch (error) {
    const isInterrupted = stopping.signal.aborted;
    await swarms.stopAll();
    await removeAllButLogs(isInterrupted);
    console.error(`bench:transfer: ${isInterrupted ? 'interrupted' : error.stack}`);
    if (!isInterrupted) console.error(`The logs of the programs are in ${folder}.`);
    return isInterrupted ? 130 : 1;
  }
}

/** The file itself, what two peers keep of it, and a copy; and what was just removed may not be gone yet. */
async function requireSpace() {
  const { bytes, isBig } = options.bench;
  const wanted = 5 * (isBig ? 4 : 1) * bytes + 2 ** 30;
  const { bavail, bsize } = await statfs(options.parent);
  if (bavail * bsize >= wanted) return;
  const gibibytes = (size) => (size / 2 ** 30).toFixed(1);
  console.error(
    `bench:transfer: ${options.parent} has ${gibibytes(bavail * bsize)} GiB free, and ${gibibytes(wanted)} GiB are needed; ` +
      'name another place with --dir, or a smaller file with --mib',
  );
  process.exit(1);
}

async function removeAllButLogs(isAll) {
  for (const name of await readdir(folder)) {
    if (isAll || !name.startsWith('logs')) await rm(join(folder, name), { recursive: true, force: true });
  }
  if (isAll) await rm(folder, { recursive: true, force: true });
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: 'string', default: '3' },
        mib: { type: 'string', default: '1024' },
        big: { type: 'boolean', default: false },
        commands: { type: 'string', default: '10' },
        files: { type: 'string', default: '100000' },
        'door-seconds': { type: 'string', default: '4' },
        dir: { type: 'string', default: join(root, 'data') },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const bench = {
      runs: wholeNumber('--runs', values.runs, 99),
      bytes: wholeNumber('--mib', values.mib, 2 ** 20) * 2 ** 20,
      isBig: values.big,
      commands: wholeNumber('--commands', values.commands, 999),
      files: wholeNumber('--files', values.files, 10_000_000),
      doorSeconds: wholeNumber('--door-seconds', values['door-seconds'], 600),
    };
    return { bench, parent: values.dir };
  } catch (error) {
    console.error(`bench:transfer: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}
