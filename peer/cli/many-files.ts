import { type ErrorCode, EXIT_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import type { CommandContext } from './command-context.js';
import { reportFailure } from './failure.js';
import { formatDuration, formatRate, formatSize, plural } from './format.js';

/*
 * A command about many files: some are worked on at once, each that is done is reported, each that fails is told by name,
 * and the others go on.
 */

/** What is to be done with each of many files. */
export interface ManyFiles<I, R> {
  readonly items: readonly I[];
  /** Whether results are reported in the order of the items, or else as they come. */
  readonly isInOrder: boolean;
  /** What a failure of it is told with. */
  readonly labelOf: (item: I) => string;
  readonly work: (item: I) => Promise<R>;
  /** Reports what is done: in order, as soon as all before it are, or at once. */
  readonly report: (done: readonly R[]) => Promise<void>;
  /** Whether every other file would fail in the same way, so that going on is no use. */
  readonly endsAll: (error: ShoalError) => boolean | Promise<boolean>;
}

/** What came of many files. */
export interface ManyOutcome<R> {
  /** Those that went well, in order. */
  readonly done: readonly R[];
  readonly failed: number;
  /** Those that were given up when all would have failed alike. */
  readonly untried: number;
  /** 0, or that of the failures; 1 when they differ. */
  readonly exitCode: number;
}

/** Works on all files, `atOnce` at a time. Throws what ends the whole command: an interrupt, a time that is over. */
export async function workThrough<I, R>(
  context: CommandContext,
  files: ManyFiles<I, R>,
  options: { readonly atOnce: number },
): Promise<ManyOutcome<R>> {
  const run = new Run(context, files);
  await Promise.all(Array.from({ length: options.atOnce }, () => run.worker()));
  return await run.end();
}

class Run<I, R> {
  readonly #context: CommandContext;
  readonly #files: ManyFiles<I, R>;
  readonly #results: ({ readonly done: R } | 'failed' | undefined)[] = [];
  readonly #exitCodes = new Set<number>();
  #next = 0;
  #failed = 0;
  #reported = 0;
  #unreported: R[] = [];
  #reporting: Promise<void> = Promise.resolve();
  #failing: Promise<void> = Promise.resolve();
  /** What all others would fail with. */
  #endedBy: ErrorCode | undefined;

  constructor(context: CommandContext, files: ManyFiles<I, R>) {
    this.#context = context;
    this.#files = files;
  }

  async worker(): Promise<void> {
    const { items, work } = this.#files;
    for (let at = this.#next++; at < items.length && this.#endedBy === undefined; at = this.#next++) {
      const item = items[at] as I;
      try {
        const done = await work(item);
        this.#results[at] = { done };
        if (!this.#files.isInOrder) this.#unreported.push(done);
      } catch (thrown) {
        this.#context.signal.throwIfAborted();
        this.#results[at] = 'failed';
        await this.#fail(item, toShoalError(thrown));
      }
      await this.#report();
    }
  }

  async end(): Promise<ManyOutcome<R>> {
    await this.#report();
    const done = this.#results.flatMap((result) => (result === undefined || result === 'failed' ? [] : [result.done]));
    const [exitCode = 0] = this.#exitCodes;
    return {
      done,
      failed: this.#failed,
      untried: this.#files.items.length - done.length - this.#failed,
      exitCode: this.#exitCodes.size > 1 ? EXIT_STATUS.internal : exitCode,
    };
  }

  /** One after the other, so that of many that fail together for a reason that ends all, one is told. */
  #fail(item: I, error: ShoalError): Promise<void> {
    this.#failing = this.#failing.then(async () => {
      if (error.code === this.#endedBy) return;
      this.#failed += 1;
      const label = this.#files.labelOf(item);
      const { code, hint } = error;
      const isNamed = error.message.includes(label);
      const options = { cause: error, ...(hint !== undefined && { hint }) };
      const named = isNamed ? error : new ShoalError(code, `${label}: ${error.message}`, options);
      this.#exitCodes.add(reportFailure(this.#context.io.stderr, named));
      if (await this.#files.endsAll(error)) this.#endedBy = code;
    });
    return this.#failing;
  }

  /** One report after the other, and what is ready meanwhile goes together. */
  #report(): Promise<void> {
    this.#reporting = this.#reporting.then(async () => {
      const ready = this.#unreported;
      this.#unreported = [];
      for (let result = this.#results[this.#reported]; result !== undefined; result = this.#results[this.#reported]) {
        this.#reported += 1;
        if (this.#files.isInOrder && result !== 'failed') ready.push(result.done);
      }
      if (ready.length > 0) await this.#files.report(ready);
    });
    return this.#reporting;
  }
}

/** Tells what became of many files; that some failed is an error, which is told to those who want quiet, too. */
export function noteMany(
  context: CommandContext,
  { done, failed, untried }: ManyOutcome<{ readonly size: number }>,
  seconds: number,
): void {
  const bytes = done.reduce((sum, { size }) => sum + size, 0);
  const rate = formatRate(bytes / Math.max(seconds, 0.001));
  const total = done.length + failed + untried;
  if (total === 0) context.note('no files');
  if (done.length > 0) {
    context.note(`${plural(done.length, 'file')}: ${formatSize(bytes)} in ${formatDuration(seconds)} (${rate})`);
  }
  const left = untried === 0 ? '' : `, and ${untried} more were given up`;
  if (failed > 0) context.io.stderr.write(`shoal: ${failed} of ${plural(total, 'file')} failed${left}\n`);
}
