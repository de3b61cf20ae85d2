interface Waiting {
  readonly position: number;
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * How many writes go on at once, over all files of a store. While many files come, each then waits a little longer and
 * is written in larger pieces, instead of all of them keeping every thread busy with small ones.
 */
export class WriteSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** False when none is free: `onFree` is then called, once, when it is worth trying again. */
  take(onFree: () => void): boolean {
    if (this.#free === 0) {
      this.#waiting.push(onFree);
      return false;
    }
    this.#free -= 1;
    return true;
  }

  give(): void {
    this.#free += 1;
    this.#waiting.shift()?.();
  }
}

/**
 * Writes what comes while others are being written together with what lies next to it. Handing a write to another
 * thread, and waking that thread, costs as much as copying some hundred KiB.
 */
export class WriteCombiner {
  readonly #write: (pieces: readonly Buffer[], position: number) => Promise<void>;
  readonly #slots: WriteSlots;
  readonly #options: { readonly atOnce: number; readonly maxBytes: number };
  /** By position: a place is written once at a time, the later one waits for its own turn. */
  readonly #waiting = new Map<number, Waiting[]>();
  #running = 0;
  #isWaitingForSlot = false;

  /** `write` puts pieces in a row at a position; so many at once, each of at most `maxBytes` unless one is larger. */
  constructor(
    deps: {
      readonly write: (pieces: readonly Buffer[], position: number) => Promise<void>;
      readonly slots: WriteSlots;
    },
    options: { readonly atOnce: number; readonly maxBytes: number },
  ) {
    this.#write = deps.write;
    this.#slots = deps.slots;
    this.#options = options;
  }

  /** Resolves when the pieces are written; rejects with what the write that they were part of says. */
  write(pieces: readonly Buffer[], position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const item = { position, pieces, bytes, resolve, reject };
      const same = this.#waiting.get(position);
      if (same === undefined) this.#waiting.set(position, [item]);
      else same.push(item);
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < this.#options.atOnce && this.#waiting.size > 0 && this.#takeSlot()) this.#begin();
  }

  #takeSlot(): boolean {
    if (this.#isWaitingForSlot) return false;
    this.#isWaitingForSlot = !this.#slots.take(() => {
      this.#isWaitingForSlot = false;
      this.#next();
    });
    return !this.#isWaitingForSlot;
  }

  #begin(): void {
    const batch = this.#takeBatch();
    const position = batch[0]?.position ?? 0;
    this.#running += 1;
    this.#write(
      batch.flatMap(({ pieces }) => pieces),
      position,
    )
      .then(
        () => {
          for (const { resolve } of batch) resolve();
        },
        (error: unknown) => {
          for (const { reject } of batch) reject(error);
        },
      )
      .finally(() => {
        this.#running -= 1;
        // Those of other files that wait come first.
        this.#slots.give();
        this.#next();
      });
  }

  /** The one that waits longest, and what follows it in the file. */
  #takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    let position: number | undefined = this.#waiting.keys().next().value;
    let bytes = 0;
    while (position !== undefined) {
      const next = this.#waiting.get(position)?.[0];
      if (next === undefined || (batch.length > 0 && bytes + next.bytes > this.#options.maxBytes)) break;
      this.#remove(position);
      batch.push(next);
      bytes += next.bytes;
      position += next.bytes;
    }
    return batch;
  }

  #remove(position: number): void {
    const same = this.#waiting.get(position);
    same?.shift();
    if (same?.length === 0) this.#waiting.delete(position);
  }
}
