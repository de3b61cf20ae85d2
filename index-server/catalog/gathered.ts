/** How long heartbeats are gathered, in milliseconds: next to nothing of a lease, and enough for many to come together. */
export const HEARTBEATS_GATHER_MS = 20;

/**
 * Makes one call of many: those that come within `gatherMs` of the first go together, in order. What the work returns is
 * theirs one by one; when it fails, it fails for all of them.
 */
export class Gathered<T, R> {
  readonly #work: (items: readonly T[]) => Promise<readonly R[]>;
  readonly #gatherMs: number;
  #waiting: { readonly item: T; resolve(result: R): void; reject(error: unknown): void }[] = [];

  constructor(work: (items: readonly T[]) => Promise<readonly R[]>, options: { readonly gatherMs: number }) {
    this.#work = work;
    this.#gatherMs = options.gatherMs;
  }

  call(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length === 1) setTimeout(() => void this.#flush(), this.#gatherMs);
    });
  }

  async #flush(): Promise<void> {
    const calls = this.#waiting;
    this.#waiting = [];
    try {
      const results = await this.#work(calls.map(({ item }) => item));
      for (const [at, { resolve }] of calls.entries()) resolve(results[at] as R);
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
}
