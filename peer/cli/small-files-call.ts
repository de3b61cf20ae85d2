import type { Writable } from 'node:stream';
import { Deferred } from '../../common/deferred.js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Problem__Output } from '../../proto/gen/shoal/control/v1/Problem.js';
import type { Progress__Output } from '../../proto/gen/shoal/control/v1/Progress.js';
import { inBatches } from '../small-files.js';
import { errorOf } from './problem-error.js';

/** What the daemon answers: results by number, and perhaps what it waits for. */
interface ManyAnswer<R> {
  readonly results: readonly R[];
  readonly progress: Progress__Output | null;
}

/**
 * One call about many small files, asked for file by file: what is asked for in the same turn of the event loop goes in
 * one message, and each gets its own answer. When the call fails, all that wait fail with it.
 */
export class SmallFilesCall<
  Q extends object,
  R extends { readonly number: number; readonly problem?: Problem__Output | null },
> {
  readonly #requests: Writable;
  readonly #messageOf: (files: (Q & { number: number })[]) => object;
  readonly #bytesOf: (file: Q) => number;
  readonly #waiting = new Map<number, Deferred<R>>();
  readonly #reading: Promise<void>;
  #unsent: (Q & { number: number })[] = [];
  #lastNumber = 0;
  #failure: ShoalError | undefined;

  constructor(
    call: { readonly requests: Writable; readonly events: AsyncIterable<ManyAnswer<R>> },
    options: {
      readonly messageOf: (files: (Q & { number: number })[]) => object;
      readonly bytesOf: (file: Q) => number;
      /** Told what is waited for. */
      readonly onWaiting: (progress: Progress__Output) => void;
    },
  ) {
    this.#requests = call.requests;
    this.#messageOf = options.messageOf;
    this.#bytesOf = options.bytesOf;
    this.#reading = this.#read(call.events, options.onWaiting);
  }

  /** The answer about one file. Rejects with what the daemon says is wrong with it, or with what ended the call. */
  ask(file: Q): Promise<R> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#lastNumber += 1;
    const answer = new Deferred<R>();
    this.#waiting.set(this.#lastNumber, answer);
    this.#unsent.push({ ...file, number: this.#lastNumber });
    if (this.#unsent.length === 1) setImmediate(() => this.#send());
    return answer.promise;
  }

  /** Ends the call; what was asked for before is answered. */
  async close(): Promise<void> {
    this.#requests.end();
    await this.#reading;
  }

  #send(): void {
    const files = this.#unsent;
    this.#unsent = [];
    // Not held back by a full stream: how many wait for an answer is bounded by who asks.
    for (const batch of inBatches(files, this.#bytesOf)) this.#requests.write(this.#messageOf(batch));
  }

  async #read(events: AsyncIterable<ManyAnswer<R>>, onWaiting: (progress: Progress__Output) => void): Promise<void> {
    try {
      for await (const { results, progress } of events) {
        if (progress !== null) onWaiting(progress);
        for (const result of results) this.#settle(result);
      }
      this.#failure = new ShoalError('internal', 'the peer ended the call without saying how it went');
    } catch (error) {
      this.#failure = toShoalError(error);
    }
    for (const answer of this.#waiting.values()) answer.reject(this.#failure);
    this.#waiting.clear();
  }

  #settle(result: R): void {
    const answer = this.#waiting.get(result.number);
    this.#waiting.delete(result.number);
    if (result.problem) answer?.reject(errorOf(result.problem));
    else answer?.resolve(result);
  }
}
