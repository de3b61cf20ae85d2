import type { ChunkStore } from './chunk-store.js';

/** How long the end of a publish is remembered: longer than any answer of the index can be on its way. */
const REMEMBER_MS = 60_000;

/**
 * Removes files of which the index says that no record is left. It may have said so just before the same content was
 * published again: such a file is kept, and the index repeats what it said if it still holds.
 */
export class Removals {
  readonly #store: Pick<ChunkStore, 'remove'>;
  readonly #now: () => number;
  readonly #protected = new Map<string, number>();
  readonly #releasedAtMs = new Map<string, number>();

  constructor(deps: { readonly store: Pick<ChunkStore, 'remove'>; readonly now: () => number }) {
    this.#store = deps.store;
    this.#now = deps.now;
  }

  /** Keeps a file while it is being published. Returns what ends that. */
  protect(id: string): () => void {
    this.#protected.set(id, (this.#protected.get(id) ?? 0) + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const users = (this.#protected.get(id) ?? 1) - 1;
      if (users > 0) this.#protected.set(id, users);
      else this.#protected.delete(id);
      this.#forgetOld();
      this.#releasedAtMs.set(id, this.#now());
    };
  }

  /** Removes a file because of an answer that was asked for at `askedAtMs`; false when it is kept. */
  async remove(id: string, askedAtMs: number): Promise<boolean> {
    if (this.#protected.has(id) || (this.#releasedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) >= askedAtMs) return false;
    await this.#store.remove(id);
    return true;
  }

  #forgetOld(): void {
    const before = this.#now() - REMEMBER_MS;
    for (const [id, releasedAtMs] of this.#releasedAtMs) {
      // In order of time: the first young one ends it.
      if (releasedAtMs >= before) return;
      this.#releasedAtMs.delete(id);
    }
  }
}
