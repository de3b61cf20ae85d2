import { formatDuration, formatRate, formatSize, plural } from './format.js';
import type { OutputStream } from './io.js';
import { RateMeter } from './rate-meter.js';
import { printable, safeJson } from './text.js';

/** How progress is shown; `auto` is a bar in a terminal and plain lines elsewhere. */
export const PROGRESS_MODES = ['auto', 'plain', 'json', 'none'] as const;

/** How progress is shown. */
export type ProgressMode = (typeof PROGRESS_MODES)[number];

/** How far a transfer is, sizes in bytes; `totalBytes` is 0 while nobody knows. */
export interface ProgressSample {
  /** What is going on, one word: `fetching`. */
  readonly phase: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Peers that bytes come from, or copies made; 0 says nothing. */
  readonly peers: number;
  /** What is waited for, in words; empty while something moves. */
  readonly detail: string;
  /** Of many files, those that are done. */
  readonly files?: { readonly done: number; readonly total: number };
}

/** Shows how far something is. */
export interface ProgressView {
  update(sample: ProgressSample): void;
  /** Leaves the line free for other output. Idempotent; nothing is shown afterwards. */
  finish(): void;
}

/** What views need: where to write, and a clock in milliseconds. */
export interface ProgressDeps {
  readonly stream: OutputStream;
  readonly now: () => number;
}

const BAR_INTERVAL_MS = 100;
const JSON_INTERVAL_MS = 100;
const PLAIN_DELAY_MS = 1_000;
const PLAIN_INTERVAL_MS = 5_000;
const DEFAULT_COLUMNS = 80;
const BAR_CELLS = 24;
const CLEAR_LINE = '\r\u001b[K';

/** The view for a mode. `canDraw` says whether the stream is a terminal whose cursor can be moved. */
export function createProgress(
  deps: ProgressDeps,
  options: { readonly mode: ProgressMode; readonly canDraw: boolean },
): ProgressView {
  switch (options.mode) {
    case 'none':
      return { update: () => undefined, finish: () => undefined };
    case 'json':
      return new StreamProgress(deps, JSON_STYLE);
    case 'plain':
      return new StreamProgress(deps, PLAIN_STYLE);
    case 'auto':
      return new StreamProgress(deps, options.canDraw ? BAR_STYLE : PLAIN_STYLE);
  }
}

/** How a view looks: what it writes for a sample and its rate, how often at the most, and what it leaves at the end. */
interface Style {
  /** Nothing is shown before this much time: what is done sooner needs no lines of progress. */
  readonly delayMs: number;
  readonly intervalMs: number;
  readonly draw: (sample: ProgressSample, rate: number | undefined, columns: number) => string;
  readonly clear: string;
}

const BAR_STYLE: Style = {
  delayMs: 0,
  intervalMs: BAR_INTERVAL_MS,
  // One column stays free: a line that fills the terminal wraps in some of them.
  draw: (sample, rate, columns) => `${CLEAR_LINE}${barLine(sample, rate).slice(0, columns - 1)}`,
  clear: CLEAR_LINE,
};

const PLAIN_STYLE: Style = {
  delayMs: PLAIN_DELAY_MS,
  intervalMs: PLAIN_INTERVAL_MS,
  draw: (sample, rate) => `${sample.phase}: ${facts(sample, rate).join(', ')}\n`,
  clear: '',
};

const JSON_STYLE: Style = {
  delayMs: 0,
  intervalMs: JSON_INTERVAL_MS,
  draw: (sample, rate) => `${safeJson(jsonEvent(sample, rate))}\n`,
  clear: '',
};

/** Writes samples in a style: the first and last of each phase, and those between when enough time has passed. */
class StreamProgress implements ProgressView {
  readonly #deps: ProgressDeps;
  readonly #style: Style;
  readonly #rate = new RateMeter();
  #shown: { readonly phase: string; readonly isLast: boolean; readonly atMs: number } | undefined;
  #phase: string | undefined;
  #beganMs: number | undefined;
  #isFinished = false;

  constructor(deps: ProgressDeps, style: Style) {
    this.#deps = deps;
    this.#style = style;
  }

  update(sample: ProgressSample): void {
    if (this.#isFinished) return;
    const nowMs = this.#deps.now();
    this.#beganMs ??= nowMs;
    if (sample.phase !== this.#phase) this.#rate.reset();
    this.#phase = sample.phase;
    this.#rate.add(nowMs, sample.doneBytes);
    if (!this.#isDue(sample, nowMs)) return;
    this.#shown = { phase: sample.phase, isLast: isLast(sample), atMs: nowMs };
    // A terminal that does not know its size says 0.
    const columns = this.#deps.stream.columns || DEFAULT_COLUMNS;
    this.#deps.stream.write(this.#style.draw(sample, this.#rate.bytesPerSecond, columns));
  }

  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#shown !== undefined && this.#style.clear !== '') this.#deps.stream.write(this.#style.clear);
  }

  #isDue(sample: ProgressSample, nowMs: number): boolean {
    if (nowMs - (this.#beganMs ?? nowMs) < this.#style.delayMs) return false;
    if (this.#shown === undefined || sample.phase !== this.#shown.phase) return true;
    return nowMs - this.#shown.atMs >= this.#style.intervalMs || (isLast(sample) && !this.#shown.isLast);
  }
}

function isLast(sample: ProgressSample): boolean {
  return sample.totalBytes > 0 && sample.doneBytes >= sample.totalBytes;
}

function jsonEvent(sample: ProgressSample, rate: number | undefined): Record<string, unknown> {
  return {
    event: 'progress',
    phase: sample.phase,
    doneBytes: sample.doneBytes,
    totalBytes: sample.totalBytes === 0 ? null : sample.totalBytes,
    bytesPerSecond: rate === undefined ? null : Math.round(rate),
    peers: sample.peers,
    ...(sample.detail !== '' && { detail: sample.detail }),
    ...(sample.files !== undefined && { files: sample.files }),
  };
}

function barLine(sample: ProgressSample, rate: number | undefined): string {
  if (sample.detail !== '') return `${sample.phase}: ${printable(sample.detail)}`;
  const done = share(sample);
  const filled = done === undefined ? 0 : Math.floor(done * BAR_CELLS);
  const bar = done === undefined ? '' : `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}] `;
  return `${sample.phase} ${bar}${facts(sample, rate).join('  ')}`;
}

function facts(sample: ProgressSample, rate: number | undefined): string[] {
  if (sample.detail !== '') return [printable(sample.detail)];
  const done = share(sample);
  const size = formatSize(sample.doneBytes);
  const result =
    done === undefined ? [size] : [`${Math.floor(done * 100)}%`, `${size} of ${formatSize(sample.totalBytes)}`];
  if (sample.files !== undefined) result.push(`${sample.files.done} of ${plural(sample.files.total, 'file')}`);
  if (rate !== undefined) result.push(formatRate(rate));
  const left = sample.totalBytes - sample.doneBytes;
  if (rate !== undefined && rate > 0 && left > 0) result.push(`${formatDuration(left / rate)} left`);
  if (sample.peers > 0) {
    result.push(sample.phase === 'replicating' ? plural(sample.peers, 'copy', 'copies') : plural(sample.peers, 'peer'));
  }
  return result;
}

function share(sample: ProgressSample): number | undefined {
  return sample.totalBytes > 0 ? Math.min(1, sample.doneBytes / sample.totalBytes) : undefined;
}
