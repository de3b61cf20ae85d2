import { abortError, type ErrorCode, ShoalError, toShoalError } from '../../common/errors.js';
import type { StoredFile } from '../stored-file.js';
import type { Fetch } from './fetch.js';

/** Chunks asked for ahead of the reader. */
const READ_AHEAD_CHUNKS = 16;
/** How often one chunk is fetched again: a disk that damages it each time will not get better. */
const REFETCHES = 2;

/** How a fetch fails that finds no other copy. */
const NOWHERE: ReadonlySet<ErrorCode> = new Set(['unavailable', 'not_found', 'denied', 'unauthenticated']);

/** Where missing chunks come from. */
export interface ChunkSource {
  /** The fetch that is under way, if any. */
  readonly fetch?: Fetch | undefined;
  /** Begins or joins a fetch of what is missing: for chunks that turn out to be damaged here. */
  readonly refetch?: (() => Fetch) | undefined;
}

/**
 * Bytes of a file in order, each chunk as soon as it is here, verified as it is read; those that are next are fetched
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
    const chunk = await reader.read(index);
    if (signal.aborted) throw abortError(signal);
    const offset = at - index * chunkBytes;
    const part = chunk.subarray(offset, Math.min(chunk.length, offset + end - at));
    yield part;
    at += part.length;
  }
}

/** Reads whole chunks, waiting for those that are on their way. */
class ChunkReader {
  readonly #refetch: (() => Fetch) | undefined;
  readonly #file: StoredFile;
  readonly #signal: AbortSignal;
  #fetch: Fetch | undefined;
  #finished: Promise<unknown> | undefined;

  constructor({ fetch, refetch }: ChunkSource, file: StoredFile, signal: AbortSignal) {
    this.#refetch = refetch;
    this.#file = file;
    this.#signal = signal;
    if (fetch !== undefined && !file.isComplete) this.#join(fetch);
  }

  async read(index: number): Promise<Buffer> {
    const { have } = this.#file;
    let refetches = 0;
    for (;;) {
      let damage: ShoalError | undefined;
      if (have.has(index)) {
        try {
          return await this.#file.readVerified(index);
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
