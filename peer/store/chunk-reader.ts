import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { Blake3, blake3, digestsOf, type Manifest } from '../manifest.js';
import type { ChunkLayout } from './chunk-layout.js';
import type { DataFile } from './data-file.js';
import { isMissing, storageError, systemCode } from './file-io.js';
import type { HeldChunks } from './held-chunks.js';

/** What the readers of all files share. */
export interface ChunkReaderDeps {
  readonly log: Logger;
  readonly hasher: Pick<Hasher, 'check'>;
  /** Fires when the store closes. */
  readonly closing: AbortSignal;
}

/** What is read, and to whom it belongs. */
export interface ReadFile {
  readonly layout: ChunkLayout;
  readonly data: DataFile;
  readonly chunks: HeldChunks;
  readonly owner: {
    readonly manifest: Manifest;
    /** Why nothing goes any more, when that is so. */
    readonly end: ShoalError | undefined;
  };
}

/**
 * Reads the held chunks of one file. What the disk does not give, or gives wrong, is damage: the chunk is forgotten, and
 * whoever reads is told so by `corrupt`. Everything throws what ended the file, once it has ended.
 */
export class ChunkReader {
  readonly #deps: ChunkReaderDeps;
  readonly #file: ReadFile;

  constructor(deps: ChunkReaderDeps, file: ReadFile) {
    this.#deps = deps;
    this.#file = file;
  }

  /** A part of a chunk, which fills `target`. Throws `not_found` when it is not held, `invalid` when it is not within it. */
  async readInto(index: number, offset: number, target: Buffer): Promise<void> {
    const position = this.#positionOf(index, offset, target.length);
    let bytesRead: number;
    try {
      bytesRead = await this.#file.data.read(target, position);
    } catch (error) {
      throw this.#readError(index, error);
    }
    if (bytesRead < target.length) throw this.#readError(index, undefined);
  }

  /** {@link readInto} on the calling thread. */
  readSync(index: number, offset: number, target: Buffer): void {
    const position = this.#positionOf(index, offset, target.length);
    let bytesRead: number;
    try {
      bytesRead = this.#file.data.readSync(target, position);
    } catch (error) {
      throw this.#readError(index, error);
    }
    if (bytesRead < target.length) throw this.#readError(index, undefined);
  }

  /** A whole chunk, into a buffer of its size, checked against its digest on the calling thread. */
  async readVerified(index: number, chunk: Buffer): Promise<void> {
    await this.readInto(index, 0, chunk);
    if (!blake3(chunk).equals(this.#file.owner.manifest.digest(index))) await this.#refuseChunk(index);
  }

  /** {@link readVerified} a piece at a time, of which none is kept. */
  async checkChunk(index: number, scratch: Buffer): Promise<void> {
    const length = this.#file.layout.lengthOf(index);
    const hash = new Blake3();
    for (let at = 0; at < length; at += scratch.length) {
      const piece = scratch.subarray(0, length - at);
      await this.readInto(index, at, piece);
      hash.update(piece);
    }
    if (!hash.digest().equals(this.#file.owner.manifest.digest(index))) await this.#refuseChunk(index);
  }

  /** Which of these chunks, held or not, are damaged; nothing is forgotten. Reads on another thread. */
  async findDamaged(
    chunks: readonly number[],
    control: { readonly signal: AbortSignal; readonly onProgress: (doneBytes: number) => void },
  ): Promise<readonly number[]> {
    const { layout, data, owner } = this.#file;
    const digests = digestsOf(owner.manifest);
    try {
      const result = await data.withFd((from) =>
        this.#deps.hasher.check({ from, size: layout.size, digests, chunks: Uint32Array.from(chunks) }, control),
      );
      return result.damaged;
    } catch (error) {
      if (isMissing(error)) return chunks;
      throw storageError(`verifying ${layout.id}`, error);
    }
  }

  /** Throws `corrupt` when some of these chunks are damaged, which are forgotten. */
  async refuseDamaged(chunks: readonly number[]): Promise<void> {
    const { layout, chunks: held } = this.#file;
    this.#refuseAfterEnd();
    if (chunks.length === 0) return;
    const found = await this.findDamaged(chunks, { signal: this.#deps.closing, onProgress: () => {} });
    this.#refuseAfterEnd();
    if (found.length === 0) return;
    await held.forget(found).noted;
    throw new ShoalError('corrupt', `${found.length} chunks of ${layout.id} were damaged on the disk`, {
      details: { damagedChunks: found.length },
    });
  }

  /** Forgets a chunk whose bytes are not those of the manifest; throws that it is so. */
  async #refuseChunk(index: number): Promise<never> {
    this.#refuseAfterEnd();
    await this.#file.chunks.forget([index]).noted;
    throw new ShoalError('corrupt', `chunk ${index} of ${this.#file.layout.id} was damaged on the disk`);
  }

  /** The error for a read that failed, or came short when `cause` is undefined; damage is noted in the background. */
  #readError(index: number, cause: unknown): ShoalError {
    const { layout, chunks, owner } = this.#file;
    if (owner.end !== undefined) return owner.end;
    const isDamage = cause === undefined || isMissing(cause) || systemCode(cause) === 'EIO';
    if (!isDamage) return storageError(`reading chunk ${index} of ${layout.id}`, cause);
    chunks.forget([index]).noted.catch((error: unknown) => {
      if (owner.end === undefined) this.#deps.log.error({ error, id: layout.id }, 'could not note a damaged chunk');
    });
    return new ShoalError('corrupt', `chunk ${index} of ${layout.id} cannot be read from the disk`, { cause });
  }

  #positionOf(index: number, offset: number, length: number): number {
    const { layout, chunks } = this.#file;
    this.#refuseAfterEnd();
    const position = layout.positionOf(index, offset, length);
    if (!chunks.set.has(index)) throw new ShoalError('not_found', `chunk ${index} of ${layout.id} is not held here`);
    return position;
  }

  #refuseAfterEnd(): void {
    if (this.#file.owner.end !== undefined) throw this.#file.owner.end;
  }
}
