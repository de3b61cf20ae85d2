import { abortError } from '../../common/errors.js';

/** Counts who still wants a result, by their abort signals, and tells when the last of them has given up. */
export class Interest {
  readonly #onNone: () => void;
  readonly #signals = new Set<AbortSignal>();

  constructor(onNone: () => void) {
    this.#onNone = onNone;
  }

  /**
   * Waits for `promise` in the name of `signal`; rejects with its reason when it fires first. A signal counts as
   * interested from its first wait until it fires, also between two waits.
   */
  async during<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
    if (signal.aborted) throw abortError(signal);
    this.#add(signal);
    let stopListening: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      const onAbort = () => reject(abortError(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      stopListening = () => signal.removeEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      stopListening();
    }
  }

  #add(signal: AbortSignal): void {
    if (this.#signals.has(signal)) return;
    this.#signals.add(signal);
    signal.addEventListener(
      'abort',
      () => {
        this.#signals.delete(signal);
        if (this.#signals.size === 0) this.#onNone();
      },
      { once: true },
    );
  }
}
