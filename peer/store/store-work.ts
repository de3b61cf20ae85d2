import { ShoalError } from '../../common/errors.js';

/**
 * What is under way in a store: refused unless the store is open, told to end when it closes, and waited for. Used once: a
 * store that was closed is not opened again.
 */
export class StoreWork {
  readonly #dir: string;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  /** Those that end early when the store closes. */
  readonly #ending = new Set<AbortController>();
  #isOpen = false;

  /** `dir` is how the store is called in errors. */
  constructor(options: { readonly dir: string }) {
    this.#dir = options.dir;
  }

  /** Fires when the store closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** From now on work is taken. */
  open(): void {
    this.#isOpen = true;
  }

  /** From now on everything is refused; what can end early does, for that reason. Resolves when nothing is under way. */
  async close(reason: ShoalError): Promise<void> {
    this.#isOpen = false;
    this.#closing.abort(reason);
    for (const work of this.#ending) work.abort(reason);
    await Promise.allSettled(this.#running);
  }

  /** Throws `unavailable` unless the store is open. */
  refuseUnlessOpen(): void {
    if (!this.#isOpen) throw new ShoalError('unavailable', `the store in ${this.#dir} is not open`);
  }

  /** Runs something that {@link close} waits for. Throws `unavailable` unless the store is open. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    this.refuseUnlessOpen();
    const running = task();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Runs `task` with a signal that fires when `signal` does or the store closes. */
  async untilClosed<T>(signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const either = new AbortController();
    const stop = (): void => either.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    // Not listeners of one signal: adding one takes the longer, the more there are.
    this.#ending.add(either);
    try {
      return await task(either.signal);
    } finally {
      this.#ending.delete(either);
      signal.removeEventListener('abort', stop);
    }
  }
}
