import { abortError, type ErrorCode, ShoalError, toShoalError } from '../../common/errors.js';
import type { StoredFile } from '../stored-file.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { Fetch } from './fetch.js';

/** Chunks asked for ahead of the reader. */
const READ_AHEAD_CHUNKS = 16;
/** How often one chunk is fetched again: a disk that damages it each time will not get better. */
const REFETCHES = 2;

/** How a fetch fails that finds no other copy. */
const NOWHERE: ReadonlySet<ErrorCode> = new Set(['unavailable', 'not_found', 'denied', 'unauthenticated']);

/** Where missing chunks come from, and where they are read into. */
export interface ChunkSource {
  /** The fetch that is under way, if any. */
  readonly fetch?: Fetch | undefined;
  /** Begins or joins a fetch of what is missing: for chunks that turn out to be damaged here. */
  readonly refetch?: (() => Fetch) | undefined;
  /** Memory for what is read. Whoever gets a piece gives it back; without a pool it is collected like anything else. */
  readonly buffers?: Pick<BufferPool, 'take' | 'give'> | undefined;
}

/** Nothing larger is read, so that many readers of a file with large chunks do not fill the memory. */
const PIECE_BYTES = 256 * 1024;
const COLLECTED = { take: (bytes: number) => Buffer.allocUnsafe(bytes), give: () => undefined };

/**
 * Bytes of a file in order, in pieces, each chunk as soon as it is here and verified; those that are next are fetched
 * first. A chunk that the disk has damaged is fetched again. Throws what ended the fetch when it ends before the range is
 * read, `not_found` when a chunk is missing and nobody fetches it, `corrupt` when it is damaged and nobody does, and what
 * `signal` says when it fires.
 */
export async function* readThrough(
  source: ChunkSource,
  file: StoredFile,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { chunkBytes } = file.manifest;
  const end = range.offset + range.length;
  const reader = new ChunkReader(source, file, signal);
  for (let at = range.offset; at < end; ) {
    const index = Math.floor(at / chunkBytes);
    const start = index * chunkBytes;
    const stop = Math.min(file.manifest.chunkLength(index), end - start);
    yield* reader.read(index, at - start, stop);
    at = start + stop;
  }
}

/** Reads chunks, waiting for those that are on their way. */
class ChunkReader {
  readonly #refetch: (() => Fetch) | undefined;
  readonly #buffers: Pick<BufferPool, 'take' | 'give'>;
  readonly #file: StoredFile;
  readonly #signal: AbortSignal;
  #fetch: Fetch | undefined;
  #finished: Promise<unknown> | undefined;

  constructor({ fetch, refetch, buffers = COLLECTED }: ChunkSource, file: StoredFile, signal: AbortSignal) {
    this.#refetch = refetch;
    this.#buffers = buffers;
    this.#file = file;
    this.#signal = signal;
    if (fetch !== undefined && !file.isComplete) this.#join(fetch);
  }

  /** The bytes of a chunk from `offset` until before `stop`, in pieces. */
  async *read(index: number, offset: number, stop: number): AsyncGenerator<Buffer> {
    const length = this.#file.manifest.chunkLength(index);
    if (length <= PIECE_BYTES) {
      const chunk = await this.#filled(length, index, (target) => this.#file.readVerified(index, target));
      yield chunk.subarray(offset, stop);
      return;
    }
    // Read twice: the first time to see that it is good, before any of it is given out.
    const scratch = await this.#filled(PIECE_BYTES, index, (target) => this.#file.checkChunk(index, target));
    this.#buffers.give(scratch);
    for (let at = offset; at < stop; at += PIECE_BYTES) {
      yield await this.#filled(Math.min(PIECE_BYTES, stop - at), index, (target) =>
        this.#file.readInto(index, at, target),
      );
    }
  }

  /** A buffer that `read` has filled. */
  async #filled(bytes: number, index: number, read: (target: Buffer) => Promise<unknown>): Promise<Buffer> {
    const target = this.#buffers.take(bytes);
    try {
      await this.#withHeld(index, () => read(target));
      if (this.#signal.aborted) throw abortError(this.#signal);
      return target;
    } catch (error) {
      this.#buffers.give(target);
      throw error;
    }
  }

  /** Does something with a chunk that is held, which may have to be fetched, or fetched again, before. */
  async #withHeld(index: number, use: () => Promise<unknown>): Promise<void> {
    const { have } = this.#file;
    let refetches = 0;
    for (;;) {
      let damage: ShoalError | undefined;
      if (have.has(index)) {
        try {
          await use();
          return;
        } catch (thrown) {
          const error = toShoalError(thrown);
          // Somebody else may have found the damage first: then the chunk is not held any more.
          if (error.code !== 'corrupt' && error.code !== 'not_found') throw error;
          damage = error;
        }
      }
      if (have.has(index)) {
        // A fetch that was under way has brought it again while the damage was being noted.
        if (refetches === REFETCHES) throw damage ?? this.#missing(index);
        refetches += 1;
        continue;
      }
      if (this.#fetch === undefined) {
        if (this.#refetch === undefined || refetches === REFETCHES) throw damage ?? this.#missing(index);
        refetches += 1;
        this.#join(this.#refetch());
      }
      await this.#arrival(index, damage);
    }
  }

  #join(fetch: Fetch): void {
    this.#fetch = fetch;
    this.#finished = fetch.finished(this.#signal).then(() => {
      // What is missing now was lost while it ran, and it did not know.
      if (this.#fetch === fetch) this.#fetch = undefined;
    });
    // Whoever waits for a chunk gets the rejection; when nobody does, reading has ended in another way.
    this.#finished.catch(() => undefined);
  }

  /**
   * Resolves when the chunk may be here: it was verified, or the fetch has ended well. That nobody else gives it makes
   * one that was damaged no less so.
   */
  async #arrival(index: number, damage: ShoalError | undefined): Promise<void> {
    let stopListening: () => void = () => undefined;
    const verified = new Promise<void>((resolve) => {
      stopListening = this.#file.onVerified((arrived) => {
        if (arrived === index) resolve();
      });
    });
    try {
      // It may have come between the look at what is held and this.
      if (this.#file.have.has(index)) return;
      this.#fetch?.prioritise(index, Math.min(READ_AHEAD_CHUNKS, this.#file.manifest.chunkCount - index));
      await Promise.race([verified, this.#finished]);
    } catch (thrown) {
      const error = toShoalError(thrown);
      if (damage === undefined || this.#signal.aborted || !NOWHERE.has(error.code)) throw error;
      throw new ShoalError('corrupt', damage.message, { cause: error });
    } finally {
      stopListening();
    }
  }

  #missing(index: number): ShoalError {
    return new ShoalError('not_found', `chunk ${index} of ${this.#file.id} is not here`);
  }
}
