import pRetry from 'p-retry';
import { abortError, type ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';

/*
 * An index that is being replaced is away for some seconds, and so is its store. Who waits for a file had better wait a
 * little longer than be told so: what failed because nobody answered is asked again, for a bounded time.
 */

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 2_000;

/** What somebody who waits may be told. */
export interface WaitListener {
  /** Told, again and again, why it takes longer. */
  readonly onWaiting?: ((reason: string) => void) | undefined;
}

/** Whether an error says that the index could not be asked, rather than what it answered. */
export function isAway(error: ShoalError): boolean {
  return error.code === 'unavailable' || error.code === 'timeout';
}

/** Waits for an index that is away. */
export class IndexWait {
  readonly #log: Logger;
  readonly #waitMs: number;

  /** `waitMs` is how long to go on after the first failure; 0 does not try again. */
  constructor(deps: { readonly log: Logger }, options: { readonly waitMs: number }) {
    this.#log = deps.log;
    this.#waitMs = options.waitMs;
  }

  /** Makes a call that can be made twice, until it is answered. Throws the last failure when the time is over. */
  async run<T>(call: () => Promise<T>, { onWaiting }: WaitListener, signal: AbortSignal): Promise<T> {
    const beganMs = performance.now();
    try {
      return await pRetry(call, {
        retries: this.#waitMs === 0 ? 0 : Number.POSITIVE_INFINITY,
        maxRetryTime: this.#waitMs,
        minTimeout: FIRST_RETRY_MS,
        maxTimeout: LAST_RETRY_MS,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => isAway(toShoalError(error)),
        onFailedAttempt: ({ error, attemptNumber }) => {
          const failure = toShoalError(error);
          if (!isAway(failure) || this.#waitMs === 0) return;
          if (attemptNumber === 1) this.#log.info({ error: failure, waitMs: this.#waitMs }, 'waiting for the index');
          const leftMs = this.#waitMs - (performance.now() - beganMs);
          onWaiting?.(waitingText(failure.message, leftMs));
        },
      });
    } catch (error) {
      throw signal.aborted ? abortError(signal) : error;
    }
  }
}

/** What somebody reads who waits. */
export function waitingText(reason: string, leftMs: number): string {
  return `${reason}; giving up in ${Math.max(0, Math.ceil(leftMs / 1000))} s`;
}
