import { formatMiB, markdownTable } from '../transfer/figures.js';
import type { IndexBenchOptions, IndexFigures, QuestionFigures } from './index-bench.js';

/** The figures as people read them: Markdown, with what was measured and how. */
export function formatReport(figures: IndexFigures, options: IndexBenchOptions): string {
  const { questions, small, raw, store } = figures;
  return [
    `Machine: ${figures.machine}. Load before: ${figures.loadBefore.toFixed(2)}.`,
    `Command: \`${commandOf(options)}\`.`,
    '',
    `### ${count(options.rate)} requests a second`,
    '',
    questionTable([raw, ...(small === undefined ? [] : [small]), ...questions]),
    '',
    ...growth(questions[0], small),
    `### ${count(options.peers)} peers`,
    '',
    swarmTable(figures),
    '',
    `The store has ${formatMiB(store.bytes)}` +
      (store.fillSeconds === undefined
        ? ', kept from an earlier run; '
        : ` and was filled in ${store.fillSeconds.toFixed(0)} s; `) +
      `the index was ready in ${figures.openSeconds.toFixed(1)} s, and its memory was ${formatMiB(figures.peakBytes)} at most.`,
    '',
  ].join('\n');
}

function commandOf({ files, peers, rate, seconds, beatSeconds }: IndexBenchOptions): string {
  const options = { files, peers, rate, seconds, 'beat-seconds': beatSeconds };
  const text = Object.entries(options).map(([name, value]) => `--${name} ${value}`);
  return `npm run bench:index -- ${text.join(' ')}`;
}

function questionTable(rows: readonly QuestionFigures[]): string {
  return markdownTable([
    ['', 'files', 'p50 ms', 'p99 ms', 'max ms', 'bytes', 'cores'],
    ...rows.map(({ title, files, p50, p99, max, answerBytes, cores }, row) => [
      title,
      row === 0 ? '-' : count(files),
      p50.toFixed(1),
      p99.toFixed(1),
      max.toFixed(1),
      answerBytes.toFixed(0),
      cores.toFixed(2),
    ]),
  ]);
}

function growth(large: QuestionFigures | undefined, small: QuestionFigures | undefined): string[] {
  if (large === undefined || small === undefined) return [];
  const ratio = (large.p50 / small.p50).toFixed(2);
  return [
    `From ${count(small.files)} files to ${count(large.files)}, p50 of locate by id grows by a factor of ${ratio}.`,
    '',
  ];
}

function swarmTable({ swarm, beats, restarted }: IndexFigures): string {
  const { beats: times } = beats;
  const rate = times === undefined ? 0 : times.count / beats.seconds;
  return markdownTable([
    ['', ''],
    ['all join and announce, s', swarm.seconds.toFixed(1)],
    ['holdings announced', count(swarm.holdings)],
    ['CPU s of the index for that', swarm.cpuSeconds.toFixed(1)],
    ['interval that the index sets, s', (beats.heartbeatMs / 1000).toFixed(1)],
    ['lease, s', (beats.leaseMs / 1000).toFixed(1)],
    ['heartbeats a second', rate.toFixed(0)],
    ['p50, p99 of a heartbeat, ms', times === undefined ? '-' : `${times.p50.toFixed(1)}, ${times.p99.toFixed(1)}`],
    ['cores of the index for heartbeats', beats.cores.toFixed(2)],
    [`a restarted peer announces ${count(restarted.files)} files, s`, restarted.seconds.toFixed(2)],
  ]);
}

function count(value: number): string {
  return value.toLocaleString('en');
}
