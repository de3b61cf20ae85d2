// `npm run bench:index [-- OPTION ...]`: what docs/performance.md tells of the index. Set-up, then a store with many files,
// an index as a process of its own on it, and many peers; a report in Markdown on stdout, what it does meanwhile on stderr.

import { readOptions, runBench, wholeNumber } from './bench-command.mjs';

const NAME = 'bench:index';
const USAGE = `npm run bench:index [-- OPTION ...]
  --files N         files in the catalogue (default 1000000)
  --peers N         peers that join and send heartbeats (default 10000)
  --rate N          requests a second (default 500)
  --seconds N       how long each question is asked (default 4)
  --beat-seconds N  how long heartbeats are watched with nothing else going on (default 10)
  --dir FOLDER      where the data goes while it runs (default data)
  --keep            leave the filled stores in FOLDER/bench-index, and use those that are there`;
/** Of a store, for one file; and as much again for its log and what is passing. */
const BYTES_PER_FILE = 6000;

const { parent, keep, bench } = readOptions(
  {
    name: NAME,
    usage: USAGE,
    options: {
      files: { type: 'string', default: '1000000' },
      peers: { type: 'string', default: '10000' },
      rate: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '4' },
      'beat-seconds': { type: 'string', default: '10' },
      keep: { type: 'boolean', default: false },
    },
  },
  (values) => ({
    keep: values.keep,
    bench: {
      files: wholeNumber('--files', values.files, 1_000_000_000),
      // One connection each, and a process may have so many open files.
      peers: wholeNumber('--peers', values.peers, 15_000),
      rate: wholeNumber('--rate', values.rate, 100_000),
      seconds: wholeNumber('--seconds', values.seconds, 3600),
      beatSeconds: wholeNumber('--beat-seconds', values['beat-seconds'], 3600),
    },
  }),
);

process.exitCode = await runBench(
  { name: NAME, parent, keep, bytes: bench.files * BYTES_PER_FILE + 2 ** 28, smaller: 'fewer files with --files' },
  async ({ swarms, ...given }) => {
    const { runIndexBench } = await import('../dist/load-tests/index/index-bench.js');
    return runIndexBench({ ...given, startIndex: (dataDir) => swarms.startIndex(dataDir) }, bench);
  },
);
