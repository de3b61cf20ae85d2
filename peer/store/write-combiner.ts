interface Waiting {
  readonly position: number;
  readonly pieces: readonly Buffer[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes what comes while others are being written together with what lies next to it. Handing a write to another
 * thread, and waking that thread, costs as much as copying some hundred KiB.
 */
export class WriteCombiner {
  readonly #write: (pieces: readonly Buffer[], position: number) => Promise<void>;
  readonly #options: { readonly atOnce: number; readonly maxBytes: number };
  /** By position: a place is written once at a time, the later one waits for its own turn. */
  readonly #waiting = new Map<number, Waiting[]>();
  #running = 0;

  /** `write` puts pieces in a row at a position; so many at once, each of at most `maxBytes` unless one is larger. */
  constructor(
    deps: { readonly write: (pieces: readonly Buffer[], position: number) => Promise<void> },
    options: { readonly atOnce: number; readonly maxBytes: number },
  ) {
    this.#write = deps.write;
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
    if (this.#running >= this.#options.atOnce) return;
    const batch = this.#takeBatch();
    const [first] = batch;
    if (first === undefined) return;
    this.#running += 1;
    this.#write(
      batch.flatMap(({ pieces }) => pieces),
      first.position,
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
