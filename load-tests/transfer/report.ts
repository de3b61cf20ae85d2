import { doorReport } from './door-report.js';
import { formatFileSize, formatMiB, formatSpread, markdownTable, spreadOf } from './figures.js';
import type { Round } from './round.js';
import type { TransferBenchOptions, TransferFigures } from './transfer-bench.js';

const NONE = '-';

/** The figures as people read them: Markdown, with what was measured and how. */
export function formatReport(figures: TransferFigures, options: TransferBenchOptions): string {
  const size = formatFileSize(options.bytes);
  const rounds = figures.rounds.length;
  return [
    `Machine: ${figures.machine}. Load before: ${figures.loadBefore.toFixed(2)}.`,
    `Command: \`${commandOf(options)}\`.`,
    ...figures.missing.map((program) => `Left out, because it is not installed: ${program}.`),
    `Medians of ${rounds} rounds and of ${options.commands} starts of a command, in brackets the lowest and the highest; 1 MB is 1,000,000 bytes.`,
    '',
    `### ${size} from one peer to another, on loopback`,
    '',
    transferTable(figures.rounds, options.bytes),
    '',
    tlsSentence(figures),
    '',
    lagSentence(figures),
    '',
    `### Publishing ${size}, on the disk when it is over`,
    '',
    putTable(figures.rounds, options.bytes),
    '',
    putSentence(figures),
    '',
    '### Memory, at most since the process was started',
    '',
    memoryTable(figures, options),
    '',
    ...doorReport(figures.door, size),
    '### Starting a command',
    '',
    startUpTable(figures),
    '',
    `### A catalogue of ${options.files.toLocaleString('en')} files`,
    '',
    listingTable(figures),
    '',
    `The index checked and stored their signed records in ${figures.listing.fillSeconds.toFixed(1)} s ` +
      `(${Math.round(options.files / figures.listing.fillSeconds)} a second); its memory was ` +
      `${formatMiB(figures.listing.indexPeakBytes)} at most.`,
    '',
  ].join('\n');
}

function commandOf({ runs, bytes, isBig, commands, files, doorSeconds }: TransferBenchOptions): string {
  const counts = `--runs ${runs} --mib ${bytes / 2 ** 20} --commands ${commands} --files ${files}`;
  return `npm run bench:transfer -- ${counts} --door-seconds ${doorSeconds}${isBig ? ' --big' : ''}`;
}

/** One way to move a file, in each of the rounds. */
interface Way {
  readonly title: string;
  readonly seconds: readonly number[];
  readonly sender?: readonly number[];
  readonly receiver?: readonly number[];
  readonly command?: readonly number[];
}

function transferTable(rounds: readonly Round[], bytes: number): string {
  const downloads = rounds.flatMap(({ download }) => (download === undefined ? [] : [download]));
  const ours = rounds.map(({ get }) => get);
  const overTls = rounds.flatMap(({ tlsGet }) => (tlsGet === undefined ? [] : [tlsGet]));
  const theirs: Way = {
    title: 'nginx (sendfile) to `curl -o`',
    seconds: downloads.map(({ seconds }) => seconds),
    sender: downloads.map(({ cpuSeconds }) => cpuSeconds.sender),
    receiver: downloads.map(({ cpuSeconds }) => cpuSeconds.receiver),
  };
  const ways: Way[] = [
    ...(downloads.length === 0 ? [] : [theirs]),
    {
      title: '`shoal get`, until the receiving peer has verified and stored all of it',
      seconds: ours.map(({ stored }) => stored.seconds),
      sender: ours.map(({ stored }) => stored.cpuSeconds.sender),
      receiver: ours.map(({ stored }) => stored.cpuSeconds.receiver),
    },
    {
      title: '`shoal get --to FILE`, until FILE is there as well and the command over',
      seconds: ours.map(({ delivered }) => delivered.seconds),
      sender: ours.map(({ delivered }) => delivered.cpuSeconds.sender),
      receiver: ours.map(({ delivered }) => delivered.cpuSeconds.receiver),
      command: ours.map(({ command }) => command.cpuSeconds),
    },
    {
      title: '`shoal get` between peers with mutual TLS, until stored',
      seconds: overTls.map(({ stored }) => stored.seconds),
      sender: overTls.map(({ stored }) => stored.cpuSeconds.sender),
      receiver: overTls.map(({ stored }) => stored.cpuSeconds.receiver),
    },
  ];
  const head = ['', 's', 'MB/s', 'of nginx', 'CPU s sender', 'CPU s receiver', 'CPU s command'];
  return markdownTable([head, ...ways.map((way) => wayRow(way, theirs, bytes))]);
}

function tlsSentence({ rounds }: TransferFigures): string {
  const ratios = rounds.flatMap(({ get, tlsGet }) =>
    tlsGet === undefined ? [] : [get.stored.seconds / tlsGet.stored.seconds],
  );
  return `With mutual TLS a transfer has ${formatSpread(spreadOf(ratios), 2)} of the speed that it has without, in the same round.`;
}

function lagSentence({ rounds, many }: TransferFigures): string {
  const lag = (side: 'sender' | 'receiver') =>
    formatSpread(inMs(spreadOf(rounds.map(({ get }) => get.lagSeconds[side]))), 1);
  const manyLag = (side: 'sender' | 'receiver') => (many.lagSeconds[side] * 1000).toFixed(1);
  return (
    `p99 of the delay of the event loop meanwhile: ${lag('sender')} ms in the sender, ${lag('receiver')} ms in the receiver; ` +
    `${manyLag('sender')} and ${manyLag('receiver')} ms with ${many.count} files at once (${Math.round((many.count * many.bytes) / 1e6 / many.seconds)} MB/s together).`
  );
}

function putTable(rounds: readonly Round[], bytes: number): string {
  const copies = rounds.flatMap(({ dd }) => (dd === undefined ? [] : [dd]));
  const puts = rounds.map(({ put }) => put);
  const theirs: Way = {
    title: '`dd conv=fdatasync`',
    seconds: copies.map(({ seconds }) => seconds),
    command: copies.map(({ cpuSeconds }) => cpuSeconds),
  };
  const hashes = rounds.flatMap(({ sha256 }) => (sha256 === undefined ? [] : [sha256]));
  const hashing: Way = {
    title: '`openssl dgst -sha256`: reads it and hashes it, writes nothing',
    seconds: hashes.map(({ seconds }) => seconds),
    command: hashes.map(({ cpuSeconds }) => cpuSeconds),
  };
  const ours: Way = {
    title: '`shoal put`',
    seconds: puts.map(({ command }) => command.seconds),
    sender: puts.map(({ daemonCpuSeconds }) => daemonCpuSeconds),
    command: puts.map(({ command }) => command.cpuSeconds),
  };
  const pipePuts = rounds.flatMap(({ pipePut }) => (pipePut === undefined ? [] : [pipePut]));
  const fromPipe: Way = {
    title: '`cat FILE \\| shoal put -`',
    seconds: pipePuts.map(({ command }) => command.seconds),
    sender: pipePuts.map(({ daemonCpuSeconds }) => daemonCpuSeconds),
    command: pipePuts.map(({ command }) => command.cpuSeconds),
  };
  const head = ['', 's', 'MB/s', 'of dd', 'CPU s peer', 'CPU s command'];
  const ways = [theirs, ...(hashes.length === 0 ? [] : [hashing]), ours, fromPipe];
  const rows = ways.map((way) => wayRow(way, theirs, bytes));
  // There is no receiver.
  return markdownTable([head, ...rows.map((row) => row.filter((_, column) => column !== 5))]);
}

/** A put reads, hashes and writes at once: it can be as fast as the slower of hashing and writing, once the command has started. */
function putSentence({ rounds, startUp }: TransferFigures): string {
  const start = startUp.find(({ command }) => command === 'shoal ls')?.seconds.median ?? 0;
  const ratios = (startSeconds: number) =>
    rounds.flatMap(({ put, dd, sha256 }) =>
      dd === undefined || sha256 === undefined
        ? []
        : [Math.max(dd.seconds, sha256.seconds) / (put.command.seconds - startSeconds)],
    );
  if (ratios(0).length === 0) return 'How fast a put can be was not measured.';
  return (
    `A put has ${formatSpread(spreadOf(ratios(0)), 2)} of the speed of the slower of the two others, in the same round, and ` +
    `${formatSpread(spreadOf(ratios(start)), 2)} without the ${Math.round(start * 1000)} ms that any command takes (\`shoal ls\`, below).`
  );
}

function wayRow(way: Way, reference: Way, bytes: number): string[] {
  const ratios = reference.seconds.map((seconds, round) => seconds / (way.seconds[round] ?? Number.NaN));
  return [
    way.title,
    formatSpread(spreadOf(way.seconds), 2),
    formatSpread(spreadOf(way.seconds.map((seconds) => bytes / 1e6 / seconds)), 0),
    ratios.length === 0 ? NONE : formatSpread(spreadOf(ratios), 2),
    ...[way.sender, way.receiver, way.command].map((cpu) =>
      cpu === undefined ? NONE : formatSpread(spreadOf(cpu), 2),
    ),
  ];
}

function memoryTable({ single, rounds, many }: TransferFigures, { bytes }: TransferBenchOptions): string {
  const row = (title: string, { peakBytes, put, get }: Round) => [
    title,
    ...[peakBytes.sender, peakBytes.receiver, peakBytes.index, put.command.peakBytes, get.command.peakBytes].map(
      formatMiB,
    ),
  ];
  const first = rounds[0];
  const last = rounds.at(-1);
  const ofSize = (wanted: (size: number) => boolean) =>
    single.filter((entry) => wanted(entry.bytes)).map((entry) => row(formatFileSize(entry.bytes), entry.round));
  const download = last?.download?.peakBytes;
  return markdownTable([
    ['file', 'sender', 'receiver', 'index', '`shoal put`', '`shoal get`'],
    ...ofSize((size) => size < bytes),
    ...(first === undefined ? [] : [row(formatFileSize(bytes), first)]),
    ...(first?.pipePut === undefined
      ? []
      : [[`${formatFileSize(bytes)} from a pipe`, formatMiB(first.pipePut.peakBytes), NONE, NONE, NONE, NONE]]),
    ...(last === undefined || last === first ? [] : [row(`after ${rounds.length} of ${formatFileSize(bytes)}`, last)]),
    ...ofSize((size) => size >= bytes),
    [
      `${many.count} of ${formatFileSize(many.bytes)} at once`,
      formatMiB(many.peakBytes.sender),
      formatMiB(many.peakBytes.receiver),
      ...[NONE, NONE, NONE],
    ],
    ...(download === undefined
      ? []
      : [['nginx, `curl`', formatMiB(download.sender), formatMiB(download.receiver), NONE, NONE, NONE]]),
  ]);
}

function startUpTable({ startUp }: TransferFigures): string {
  return markdownTable([
    ['', 'ms', 'CPU ms', 'memory'],
    ...startUp.map(({ command, seconds, cpuSeconds, peakBytes }) => [
      `\`${command}\``,
      formatSpread(inMs(seconds), 0),
      formatSpread(inMs(cpuSeconds), 0),
      formatMiB(peakBytes),
    ]),
  ]);
}

function listingTable({ listing }: TransferFigures): string {
  return markdownTable([
    ['', 'files', 'ms, the command', 'ms, the answer of the index'],
    ...listing.figures.map(({ command, files, commandSeconds, answerSeconds }) => [
      `\`shoal ${command}\``,
      String(files),
      formatSpread(inMs(commandSeconds), 0),
      formatSpread(inMs(answerSeconds), 1),
    ]),
  ]);
}

function inMs({ median, min, max }: { readonly median: number; readonly min: number; readonly max: number }) {
  return { median: median * 1000, min: min * 1000, max: max * 1000 };
}
