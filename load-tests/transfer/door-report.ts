import { type DoorFigures, SMALL } from './door.js';
import { formatSpread, markdownTable, type Spread, spreadOf } from './figures.js';
import type { FirstByte } from './first-byte.js';
import type { SmallGets } from './small-gets.js';

const NONE = '-';

/** The HTTP door as people read of it: lines of Markdown. `size` is that of the large files. */
export function doorReport({ smallGets, firstBytes }: DoorFigures, size: string): readonly string[] {
  return [
    '### The HTTP door: small files',
    '',
    `${SMALL.files} files of ${SMALL.bytes.toLocaleString('en')} bytes that are there, over ${SMALL.connections} connections.`,
    '',
    smallGetsTable(smallGets),
    '',
    `### The HTTP door: the first byte of ${size}`,
    '',
    firstByteTable(firstBytes),
    '',
  ];
}

/** One row a way, in the order in which they appear, each compared with nginx in the same round. */
export function smallGetsTable(all: readonly SmallGets[]): string {
  const titles = [...new Set(all.map(({ title }) => title))];
  const of = (wanted: string) => all.filter(({ title }) => title === wanted);
  const nginx = of(titles.find((title) => title.startsWith('nginx')) ?? '');
  const row = (title: string) => {
    const rounds = of(title);
    const ratios = nginx.map(({ perSecond }, round) => (rounds[round]?.perSecond ?? Number.NaN) / perSecond);
    const { cpuSeconds } = rounds[0] as SmallGets;
    const microseconds = (what: keyof typeof cpuSeconds) =>
      cpuSeconds[what] === undefined ? NONE : figure(rounds, (round) => (round.cpuSeconds[what] ?? 0) * 1e6, 0);
    return [
      title,
      figure(rounds, ({ perSecond }) => perSecond, 0),
      ratios.length === 0 ? NONE : formatSpread(spreadOf(ratios), 2),
      figure(rounds, ({ p50 }) => p50, 1),
      figure(rounds, ({ p99 }) => p99, 1),
      ...(['server', 'index', 'generator'] as const).map(microseconds),
    ];
  };
  const head = ['', 'requests/s', 'of nginx', 'p50 ms', 'p99 ms', 'CPU µs server', 'CPU µs index', 'CPU µs generator'];
  return markdownTable([head, ...titles.map(row)]);
}

/** What the client saw, and what of it went where. */
export function firstByteTable(all: readonly FirstByte[]): string {
  const inMs = (value: (one: FirstByte) => number) => figure(all, (one) => value(one) * 1000, 1);
  return markdownTable([
    ['', 'ms'],
    ['from a peer that has nothing of it', inMs(({ readThrough }) => readThrough)],
    [
      '- of that, from dialling the holder until the first chunk is verified and stored',
      inMs(({ fetched }) => fetched),
    ],
    ['- of that, all the rest', inMs(({ readThrough, fetched }) => readThrough - fetched)],
    ['HEAD at the same peer: asking the index, and answering', inMs(({ head }) => head)],
    ['from the peer that has all of it', inMs(({ here }) => here)],
    ['from nginx', all.some(({ nginx }) => nginx === undefined) ? NONE : inMs(({ nginx = 0 }) => nginx)],
  ]);
}

function figure<T>(all: readonly T[], value: (one: T) => number, digits: number): string {
  const spread: Spread = spreadOf(all.map(value));
  return formatSpread(spread, digits);
}
