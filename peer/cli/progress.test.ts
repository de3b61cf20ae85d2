import { PassThrough } from 'node:stream';
import { createProgress, type ProgressMode, type ProgressSample } from './progress.js';

const MB = 1_000_000;

/** A view whose clock the test moves, and what it wrote. */
function view(options: { mode: ProgressMode; canDraw?: boolean; columns?: number }) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { columns: options.columns ?? 120 });
  const clock = { nowMs: 0 };
  const progress = createProgress(
    { stream, now: () => clock.nowMs },
    { mode: options.mode, canDraw: options.canDraw ?? false },
  );
  return {
    clock,
    progress,
    at(nowMs: number, doneBytes: number, more: Partial<ProgressSample> = {}) {
      clock.nowMs = nowMs;
      progress.update({ phase: 'fetching', doneBytes, totalBytes: 100 * MB, peers: 0, detail: '', ...more });
    },
    written: () => (stream.read() as string | null) ?? '',
  };
}

test('draws a bar with rate, time left and peers on one line, and clears it', () => {
  const { at, progress, written } = view({ mode: 'auto', canDraw: true });
  at(0, 0);
  expect(written()).toBe('\r\u001b[Kfetching [------------------------] 0%  0 B of 95.4 MiB');
  at(1_000, 25 * MB, { peers: 3 });
  expect(written()).toBe(
    '\r\u001b[Kfetching [######------------------] 25%  23.8 MiB of 95.4 MiB  25.0 MB/s  3.00 s left  3 peers',
  );
  progress.finish();
  progress.finish();
  expect(written()).toBe('\r\u001b[K');
});

test('draws at most ten times a second, and the end always', () => {
  const { at, written } = view({ mode: 'auto', canDraw: true });
  at(0, 0);
  written();
  at(50, 10 * MB);
  expect(written()).toBe('');
  at(60, 100 * MB);
  expect(written()).toContain('100%');
  at(70, 100 * MB);
  expect(written()).toBe('');
});

test('keeps the bar on one line of a narrow terminal', () => {
  const { at, written } = view({ mode: 'auto', canDraw: true, columns: 20 });
  at(0, MB);
  expect(written().replace('\r\u001b[K', '')).toHaveLength(19);
});

test('takes a terminal that does not know its size for one of 80 columns', () => {
  const { at, written } = view({ mode: 'auto', canDraw: true, columns: 0 });
  at(0, MB);
  expect(written()).toBe('\r\u001b[Kfetching [------------------------] 1%  977 KiB of 95.4 MiB');
});

test('draws no bar when nobody knows the size', () => {
  const { at, written } = view({ mode: 'auto', canDraw: true });
  at(0, MB, { totalBytes: 0, phase: 'storing' });
  expect(written()).toBe('\r\u001b[Kstoring 977 KiB');
});

test.each(['auto', 'plain'] as const)('writes a plain line every five seconds without a terminal (%s)', (mode) => {
  const { at, progress, written } = view({ mode });
  for (let second = 0; second <= 7; second += 1) at(second * 1_000, second * 10 * MB, { peers: 1 });
  at(7_500, 0, { phase: 'replicating', peers: 2, totalBytes: 0 });
  progress.finish();
  expect(written()).toBe(
    [
      'fetching: 10%, 9.5 MiB of 95.4 MiB, 10.0 MB/s, 9.00 s left, 1 peer',
      'fetching: 60%, 57.2 MiB of 95.4 MiB, 10.0 MB/s, 4.00 s left, 1 peer',
      'replicating: 0 B, 2 copies',
      '',
    ].join('\n'),
  );
});

test('writes no plain line of what takes less than a second', () => {
  const { at, progress, written } = view({ mode: 'plain' });
  at(5_000, 0);
  at(5_999, 100 * MB);
  progress.finish();
  expect(written()).toBe('');
});

test('draws no bar where the mode is plain, though the terminal could', () => {
  const { at, written } = view({ mode: 'plain', canDraw: true });
  at(0, 0);
  at(1_000, MB);
  expect(written()).toBe('fetching: 1%, 977 KiB of 95.4 MiB, 1.0 MB/s, 1m39s left\n');
});

test('writes events as JSON lines', () => {
  const { at, written } = view({ mode: 'json' });
  at(0, 0, { totalBytes: 0 });
  at(50, MB);
  at(1_000, 50 * MB, { peers: 2 });
  expect(
    written()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { event: 'progress', phase: 'fetching', doneBytes: 0, totalBytes: null, bytesPerSecond: null, peers: 0 },
    {
      event: 'progress',
      phase: 'fetching',
      doneBytes: 50 * MB,
      totalBytes: 100 * MB,
      bytesPerSecond: 50 * MB,
      peers: 2,
    },
  ]);
});

test('writes nothing when told so', () => {
  const { at, progress, written } = view({ mode: 'none', canDraw: true });
  at(0, 0);
  progress.finish();
  expect(written()).toBe('');
});

test('says what is waited for, where that is all there is to say', () => {
  const detail = 'no live peer has the missing parts; giving up in 9 s';
  const plain = view({ mode: 'plain' });
  plain.at(0, 0);
  plain.at(2_000, 0, { phase: 'waiting', detail });
  expect(plain.written()).toBe(`waiting: ${detail}\n`);
  const bar = view({ mode: 'auto', canDraw: true });
  bar.at(0, 0, { phase: 'waiting', detail: `${detail} \u001b[2J` });
  expect(bar.written()).toContain(`waiting: ${detail}`);
  expect(bar.written()).not.toContain('\u001b[2J');
  const json = view({ mode: 'json' });
  json.at(0, 0, { phase: 'waiting', detail });
  expect(JSON.parse(json.written())).toMatchObject({ phase: 'waiting', detail });
});
