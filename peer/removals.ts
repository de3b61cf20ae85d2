import type { ChunkStore } from './chunk-store.js';

/** How long the end of a publish is remembered: longer than any answer of the index can be on its way. */
const REMEMBER_MS = 60_000;

/**
 * Removes files of which the index says that no record is left. It may have said so just before the same content was
 * published again: such a file is kept, and the index repeats what it said if it still holds. The store does one thing at a
 * time with a file, so a put and a removal of the same content come in one of two orders:
 *
 *   the put keeps the file and protects it; the removal has its turn, sees that, and leaves it
 *   the removal has its turn and takes the file away; the put has its turn and stores the bytes at hand as a new one
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

  /** Keeps a file while it is being published; from within its turn in the store. Returns what ends that. */
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
    return await this.#store.remove(id, { unless: () => this.#isKept(id, askedAtMs) });
  }

  #isKept(id: string, askedAtMs: number): boolean {
    return this.#protected.has(id) || (this.#releasedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) >= askedAtMs;
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
