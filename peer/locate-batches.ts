import { Deferred } from '../common/deferred.js';
import { ShoalError } from '../common/errors.js';
import type { Located } from '../index-server/api.js';

/** Asks the index what references mean to a user; answers in the order of the references, all of them. */
export type LocateMany = (
  refs: readonly string[],
  onBehalf: string | undefined,
) => Promise<readonly (Located | ShoalError)[]>;

/** Limits of the calls. */
export interface LocateBatchesOptions {
  /** Calls under way at once for one user. */
  readonly callsAtOnce: number;
  /** References in one call. */
  readonly refsAtOnce: number;
}

/** What is asked for one user. */
interface Lane {
  readonly onBehalf: string | undefined;
  calls: number;
  /** Asked by somebody and not on its way. */
  readonly waiting: Map<string, Deferred<Located>>;
}

/**
 * Asks the index for many at a time. Who asks first is not kept waiting: a question goes out with those that came in the
 * same turn of the event loop. While calls are under way, what comes in meanwhile goes together in the next one, so that
 * a crowd of small reads costs the index a call for dozens of them.
 *
 * Nobody can tell that calls and answers are shared. Whoever comes while a call is under way is answered by a *later*
 * one, even about the same reference, and never by what was on its way before he asked: he may have been told just now
 * that the file was removed, or has a new version.
 */
export class LocateBatches {
  readonly #ask: LocateMany;
  readonly #options: LocateBatchesOptions;
  readonly #lanes = new Map<string, Lane>();

  constructor(deps: { readonly ask: LocateMany }, options: LocateBatchesOptions) {
    this.#ask = deps.ask;
    this.#options = options;
  }

  /** What a reference means to the user of a session (the peer's own account without one) from this moment on. */
  get(ref: string, onBehalf: string | undefined): Promise<Located> {
    const lane = this.#laneOf(onBehalf);
    let question = lane.waiting.get(ref);
    if (question === undefined) {
      question = new Deferred();
      lane.waiting.set(ref, question);
      if (lane.waiting.size === 1) setImmediate(() => this.#send(lane));
    }
    return question.promise;
  }

  #laneOf(onBehalf: string | undefined): Lane {
    const key = onBehalf ?? '';
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = { onBehalf, calls: 0, waiting: new Map() };
    this.#lanes.set(key, lane);
    return lane;
  }

  #send(lane: Lane): void {
    while (lane.waiting.size > 0 && lane.calls < this.#options.callsAtOnce) {
      const batch = [...lane.waiting].slice(0, this.#options.refsAtOnce);
      for (const [ref] of batch) lane.waiting.delete(ref);
      lane.calls += 1;
      void this.#call(lane, batch).finally(() => {
        lane.calls -= 1;
        this.#send(lane);
        if (lane.calls === 0 && lane.waiting.size === 0) this.#lanes.delete(lane.onBehalf ?? '');
      });
    }
  }

  async #call(lane: Lane, batch: readonly (readonly [string, Deferred<Located>])[]): Promise<void> {
    try {
      const answers = await this.#ask(
        batch.map(([ref]) => ref),
        lane.onBehalf,
      );
      batch.forEach(([ref, question], i) => {
        const answer = answers[i] ?? new ShoalError('internal', `the index did not say what '${ref}' means`);
        if (answer instanceof ShoalError) question.reject(answer);
        else question.resolve(answer);
      });
    } catch (error) {
      for (const [, question] of batch) question.reject(error as Error);
    }
  }
}
