// `npm run bench:transfer [-- OPTION ...]`: what the README and docs/performance.md quote. Set-up, then an index and peers
// as separate processes with passing data, then a report in Markdown on stdout; what it does meanwhile goes to stderr.

import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';
import { findProgram, plainEnvironment, readOptions, runBench, wholeNumber } from './bench-command.mjs';
import { freePort } from './passing-swarms.mjs';

const NAME = 'bench:transfer';
const USAGE = `npm run bench:transfer [-- OPTION ...]
  --runs N           how often the large file is moved (default 3)
  --mib N            its size in MiB (default 1024)
  --big              also move one of four times that size, for the memory that it takes
  --door-seconds N   how long small files are asked for over HTTP, each time (default 4)
  --files N          files in the catalogue that is listed (default 100000)
  --commands N       how often each command is started whose time is that of starting it (default 10)
  --dir FOLDER       where the data goes while it runs (default data)`;

const { parent, bench } = readOptions(
  {
    name: NAME,
    usage: USAGE,
    options: {
      runs: { type: 'string', default: '3' },
      mib: { type: 'string', default: '1024' },
      big: { type: 'boolean', default: false },
      commands: { type: 'string', default: '10' },
      files: { type: 'string', default: '100000' },
      'door-seconds': { type: 'string', default: '4' },
    },
  },
  (values) => ({
    bench: {
      runs: wholeNumber('--runs', values.runs, 99),
      bytes: wholeNumber('--mib', values.mib, 2 ** 20) * 2 ** 20,
      isBig: values.big,
      commands: wholeNumber('--commands', values.commands, 999),
      files: wholeNumber('--files', values.files, 10_000_000),
      doorSeconds: wholeNumber('--door-seconds', values['door-seconds'], 600),
    },
  }),
);

process.exitCode = await runBench(
  {
    name: NAME,
    parent,
    // The file itself, what two peers keep of it with and without TLS, and a copy; and what was just removed may not be
    // gone yet. The very large file is moved without TLS alone.
    bytes: (bench.isBig ? 5 * 4 : 7) * bench.bytes + 2 ** 30,
    smaller: 'a smaller file with --mib',
  },
  async ({ swarms, ...given }) => {
    const { runTransferBench } = await import('../dist/load-tests/transfer/transfer-bench.js');
    const programs = { shoal: join(root, 'dist/peer/cli.js'), environment: plainEnvironment() };
    const found = { findProgram, freePort, startSwarm: (peers, kind) => swarms.start(peers, kind) };
    return runTransferBench({ ...given, ...programs, ...found }, bench);
  },
);
