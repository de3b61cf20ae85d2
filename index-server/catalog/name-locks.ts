/**
 * Lets one writer at a time at each name. Within a process this is what keeps versions apart in the embedded store; with
 * MongoDB it only spares writers of one name from undoing each other's attempts.
 */
export class NameLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when earlier work on the same key is done, whether it went well or not. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = (async () => {
      await Promise.allSettled([before]);
      return work();
    })();
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
