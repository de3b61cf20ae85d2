import type { Logger } from '../../common/log.js';

/** Those who want to be told of something. That one of them throws is logged, and keeps nobody else from being told. */
export class Listeners<T> {
  readonly #log: Logger;
  readonly #failure: string;
  readonly #listeners = new Set<(value: T) => void>();

  /** `failure` is what the log says when one throws. */
  constructor(deps: { readonly log: Logger }, options: { readonly failure: string }) {
    this.#log = deps.log;
    this.#failure = options.failure;
  }

  /** Calls `listener` with what is told from now on. Returns what ends that. */
  add(listener: (value: T) => void): () => void {
    // Wrapped, so that the same function may listen twice.
    const entry = (value: T): void => listener(value);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** Tells all of them; `about` goes to the log with what one throws. */
  tell(value: T, about: object): void {
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#log.error({ error, ...about }, this.#failure);
      }
    }
  }
}
