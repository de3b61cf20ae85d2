import { Deferred } from '../common/deferred.js';
import { ShoalError } from '../common/errors.js';

/** Asks the index several questions for a user; answers in the order of the questions, all of them. */
export type AskMany<Q, A> = (
  questions: readonly Q[],
  onBehalf: string | undefined,
) => Promise<readonly (A | ShoalError)[]>;

/** Limits of the calls. */
export interface CallBatchesOptions<Q> {
  /** Calls under way at once for one user. */
  readonly callsAtOnce: number;
  /** Questions in one call. */
  readonly questionsAtOnce: number;
  /** Questions that wait and have the same are asked once. */
  readonly keyOf: (question: Q) => unknown;
}

/** What is asked for one user. */
interface Lane<Q, A> {
  readonly onBehalf: string | undefined;
  calls: number;
  /** Asked by somebody and not on its way. */
  readonly waiting: Map<unknown, { readonly question: Q; readonly answer: Deferred<A> }>;
}

/**
 * Asks the index for many at a time. Who asks first is not kept waiting: a question goes out with those that came in the
 * same turn of the event loop. While calls are under way, what comes in meanwhile goes together in the next one, so that
 * a crowd of small files costs the index a call for dozens of them.
 *
 * Nobody can tell that calls and answers are shared. Whoever comes while a call is under way is answered by a *later*
 * one, even to the same question, and never by what was on its way before he asked: he may have been told just now
 * that the file was removed, or has a new version.
 */
export class CallBatches<Q, A> {
  readonly #ask: AskMany<Q, A>;
  readonly #options: CallBatchesOptions<Q>;
  readonly #lanes = new Map<string, Lane<Q, A>>();

  constructor(deps: { readonly ask: AskMany<Q, A> }, options: CallBatchesOptions<Q>) {
    this.#ask = deps.ask;
    this.#options = options;
  }

  /** The answer to the user of a session (the peer's own account without one) from this moment on. */
  get(question: Q, onBehalf: string | undefined): Promise<A> {
    const lane = this.#laneOf(onBehalf);
    const key = this.#options.keyOf(question);
    let asked = lane.waiting.get(key);
    if (asked === undefined) {
      asked = { question, answer: new Deferred() };
      lane.waiting.set(key, asked);
      if (lane.waiting.size === 1) setImmediate(() => this.#send(lane));
    }
    return asked.answer.promise;
  }

  #laneOf(onBehalf: string | undefined): Lane<Q, A> {
    const key = onBehalf ?? '';
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = { onBehalf, calls: 0, waiting: new Map() };
    this.#lanes.set(key, lane);
    return lane;
  }

  #send(lane: Lane<Q, A>): void {
    while (lane.waiting.size > 0 && lane.calls < this.#options.callsAtOnce) {
      const batch = [...lane.waiting].slice(0, this.#options.questionsAtOnce);
      for (const [key] of batch) lane.waiting.delete(key);
      lane.calls += 1;
      const asked = batch.map(([, one]) => one);
      void this.#call(lane.onBehalf, asked).finally(() => {
        lane.calls -= 1;
        this.#send(lane);
        if (lane.calls === 0 && lane.waiting.size === 0) this.#lanes.delete(lane.onBehalf ?? '');
      });
    }
  }

  async #call(
    onBehalf: string | undefined,
    batch: readonly { readonly question: Q; readonly answer: Deferred<A> }[],
  ): Promise<void> {
    try {
      const answers = await this.#ask(
        batch.map(({ question }) => question),
        onBehalf,
      );
      batch.forEach((asked, i) => {
        const answer = answers[i] ?? new ShoalError('internal', 'the index did not answer all that it was asked');
        if (answer instanceof ShoalError) asked.answer.reject(answer);
        else asked.answer.resolve(answer);
      });
    } catch (error) {
      for (const { answer } of batch) answer.reject(error as Error);
    }
  }
}
