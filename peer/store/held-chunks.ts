import type { Logger } from '../../common/log.js';
import type { ChunkSet, ReadonlyChunkSet } from '../chunk-set.js';
import type { ChunkLayout } from './chunk-layout.js';
import type { FileLedger } from './file-ledger.js';
import { Listeners } from './listeners.js';
import type { Reservation } from './space.js';

/** What the held chunks of all files share. */
export interface HeldChunksDeps {
  readonly log: Logger;
  readonly onEvent: (kind: 'completed' | 'damaged', id: string) => void;
}

/**
 * Which chunks of one file are held. When one comes its room is entered as taken, and who waits for it is told; when one is
 * lost the ledger notes it.
 */
export class HeldChunks {
  readonly #deps: HeldChunksDeps;
  readonly #layout: ChunkLayout;
  readonly #have: ChunkSet;
  readonly #ledger: FileLedger;
  readonly #reservation: Reservation;
  /** Made when it is needed: most files of a store are only read. */
  #listeners: Listeners<number> | undefined;

  constructor(
    deps: HeldChunksDeps,
    file: {
      readonly layout: ChunkLayout;
      readonly have: ChunkSet;
      readonly ledger: FileLedger;
      readonly reservation: Reservation;
    },
  ) {
    this.#deps = deps;
    this.#layout = file.layout;
    this.#have = file.have;
    this.#ledger = file.ledger;
    this.#reservation = file.reservation;
  }

  /** All of them. */
  get set(): ReadonlyChunkSet {
    return this.#have;
  }

  /** Calls `listener` with each chunk from now on. Returns what ends that. */
  onHeld(listener: (index: number) => void): () => void {
    this.#listeners ??= new Listeners(this.#deps, { failure: 'a listener for chunks failed' });
    return this.#listeners.add(listener);
  }

  /** Takes chunks in, which must be noted already, and tells; whether any is new, and whether the file is whole by it. */
  hold(chunks: readonly number[]): { readonly isNew: boolean; readonly hasCompleted: boolean } {
    const wasFull = this.#have.isFull;
    const added = chunks.filter((index) => this.#have.add(index));
    this.#reservation.land(this.#layout.bytesOf(added));
    const { id } = this.#layout;
    for (const index of added) this.#listeners?.tell(index, { id });
    const hasCompleted = this.#have.isFull && !wasFull;
    if (hasCompleted) this.#deps.onEvent('completed', id);
    return { isNew: added.length > 0, hasCompleted };
  }

  /** Drops chunks that turned out to be damaged; `noted` resolves when the next start will know. */
  forget(chunks: readonly number[]): { readonly chunks: readonly number[]; readonly noted: Promise<void> } {
    const lost = chunks.filter((index) => this.#have.delete(index));
    if (lost.length === 0) return { chunks: lost, noted: Promise.resolve() };
    const { id } = this.#layout;
    this.#deps.log.error({ id, chunks: lost.slice(0, 20), count: lost.length }, 'chunks are damaged on disk');
    this.#deps.onEvent('damaged', id);
    return { chunks: lost, noted: this.#ledger.lose(lost, this.#have) };
  }

  /** Gives the room of the whole file back. */
  releaseRoom(): void {
    this.#reservation.release();
  }
}
