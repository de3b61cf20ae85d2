import fs from 'node:fs';
import { promisify } from 'node:util';
import { ShoalError } from '../../common/errors.js';
import type { ChunkSet, ReadonlyChunkSet } from '../chunk-set.js';
import type { Hasher } from '../hasher.js';
import type { Manifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { ChunkLayout, verifyChunk } from './chunk-layout.js';
import { ChunkReader, type ChunkReaderDeps } from './chunk-reader.js';
import { DataFile, type DataFileDeps } from './data-file.js';
import { removeIfThere, storageError } from './file-io.js';
import { FileLedger, type FileNotes, type LedgerDeps } from './file-ledger.js';
import { HeldChunks, type HeldChunksDeps } from './held-chunks.js';
import type { FileInfo } from './info-file.js';
import type { Reservation } from './space.js';

const PIECE_BYTES = 1024 * 1024;
const ftruncate = promisify(fs.ftruncate);

/** What the files of one store share. */
export interface HeldFileDeps extends LedgerDeps, DataFileDeps, ChunkReaderDeps, HeldChunksDeps {
  readonly hasher: Hasher;
}

/** How a file stands when it enters the store or is found there. */
export interface HeldFileState {
  readonly id: string;
  readonly size: number;
  readonly have: ChunkSet;
  /** Whether the disk says that the file is whole and durable. */
  readonly isWhole: boolean;
  /** Whether the data file was just made. */
  readonly isFresh: boolean;
  readonly notes: FileNotes;
  readonly reservation: Reservation;
}

/**
 * A file of the store. A chunk goes through these steps, each of which may be the last before a crash:
 *
 * 1. writeChunk: bytes into the data file, then an entry into the journal, then into `have`. Both are in the page
 *    cache, so a killed process loses nothing that it told anybody about.
 * 2. The last chunk: the data is synced, then the info file is replaced by one that says so, then the journal goes.
 *    Before that, a crash of the machine makes the next start check the journal's claims against the bytes.
 * 3. A damaged chunk is forgotten: a journal without it, then an info file that says "partial" again.
 */
export class HeldFile implements StoredFile {
  readonly #deps: HeldFileDeps;
  readonly #layout: ChunkLayout;
  readonly #data: DataFile;
  readonly #ledger: FileLedger;
  readonly #chunks: HeldChunks;
  #finishing: Promise<void> | undefined;
  #checking: Promise<void> | undefined;
  #end: ShoalError | undefined;

  constructor(deps: HeldFileDeps, state: HeldFileState) {
    this.#deps = deps;
    this.#layout = new ChunkLayout(state.id, state.size);
    this.#data = new DataFile(deps, { layout: this.#layout, isFresh: state.isFresh });
    this.#ledger = new FileLedger(deps, state);
    this.#chunks = new HeldChunks(deps, { ...state, layout: this.#layout, ledger: this.#ledger });
  }

  get id(): string {
    return this.#layout.id;
  }

  /** Why nothing goes any more, when that is so. */
  get end(): ShoalError | undefined {
    return this.#end;
  }

  get size(): number {
    return this.#layout.size;
  }

  get manifest(): Manifest {
    return this.#info.manifest;
  }

  get have(): ReadonlyChunkSet {
    return this.#chunks.set;
  }

  get isComplete(): boolean {
    return this.#chunks.set.isFull;
  }

  get isDamaged(): boolean {
    return this.#ledger.isDamaged && !this.isComplete;
  }

  get sha256(): string | undefined {
    return this.#info.sha256;
  }

  get records(): readonly string[] {
    return this.#info.records;
  }

  async setRecords(records: readonly string[], meta: { readonly sha256: string }): Promise<void> {
    this.#refuseAfterEnd();
    await this.#ledger.note(
      (notes) => {
        if (notes.isHashedHere && notes.sha256 !== meta.sha256) {
          throw new ShoalError('conflict', `the SHA-256 of ${this.id} is ${notes.sha256}, not ${meta.sha256}`);
        }
        return { ...notes, sha256: meta.sha256, records: [...records] };
      },
      { durable: this.isComplete },
    );
  }

  /** Notes a SHA-256 that this store computed. */
  async setHash(sha256: string): Promise<void> {
    await this.#ledger.note((notes) => (notes.isHashedHere ? notes : { ...notes, sha256, isHashedHere: true }), {
      durable: false,
    });
  }

  async readChunk(index: number, offset = 0, length?: number): Promise<Buffer> {
    const target = Buffer.allocUnsafe(length ?? Math.max(0, this.#layout.lengthOf(index) - offset));
    await this.readInto(index, offset, target);
    return target;
  }

  async readVerified(index: number, target?: Buffer): Promise<Buffer> {
    const length = this.#layout.lengthOf(index);
    const chunk = target ?? Buffer.allocUnsafe(length);
    if (chunk.length !== length) {
      throw new ShoalError('invalid', `a buffer of ${chunk.length} bytes for a chunk of ${length}`);
    }
    await this.#reader.readVerified(index, chunk);
    return chunk;
  }

  async checkChunk(index: number, scratch: Buffer): Promise<void> {
    await this.#reader.checkChunk(index, scratch);
  }

  async readInto(index: number, offset: number, target: Buffer): Promise<void> {
    await this.#reader.readInto(index, offset, target);
  }

  readSync(index: number, offset: number, target: Buffer, targetOffset: number, length: number): void {
    const part = target.subarray(targetOffset, targetOffset + length);
    if (part.length !== length) {
      throw new ShoalError(
        'invalid',
        `a buffer of ${target.length} bytes does not take ${length} from ${targetOffset}`,
      );
    }
    this.#reader.readSync(index, offset, part);
  }

  async writeChunk(index: number, data: Buffer | readonly Buffer[]): Promise<boolean> {
    this.#refuseAfterEnd();
    if (this.#chunks.set.has(index)) return false;
    const pieces = Buffer.isBuffer(data) ? [data] : data;
    verifyChunk(this.manifest, index, pieces);
    await this.#checking;
    if (this.#chunks.set.has(index)) return false;
    try {
      await this.#data.write(index, pieces);
    } catch (error) {
      this.#refuseAfterEnd();
      throw storageError(`writing chunk ${index} of ${this.id}`, error);
    }
    this.#refuseAfterEnd();
    if (this.#chunks.set.has(index)) return false;
    await this.#ledger.hold(index);
    this.#refuseAfterEnd();
    return this.#hold([index]);
  }

  onVerified(listener: (index: number) => void): () => void {
    return this.#chunks.onHeld(listener);
  }

  async *read(range: { readonly offset: number; readonly length: number }): AsyncGenerator<Buffer> {
    let held: { readonly index: number; readonly chunk: Buffer } | undefined;
    for (const { index, offset, length } of this.#layout.partsOf(range, PIECE_BYTES)) {
      if (held?.index !== index) held = { index, chunk: await this.readVerified(index) };
      yield held.chunk.subarray(offset, offset + length);
    }
  }

  async verify(
    signal: AbortSignal,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ): Promise<{ readonly chunks: number; readonly damaged: readonly number[] }> {
    this.#refuseAfterEnd();
    const chunks = [...this.#chunks.set];
    const totalBytes = this.#layout.bytesOf(chunks);
    const found = await this.#reader.findDamaged(chunks, {
      signal: AbortSignal.any([signal, this.#deps.closing]),
      onProgress: (done) => onProgress(done, totalBytes),
    });
    this.#refuseAfterEnd();
    const damaged = this.#chunks.forget(found);
    await damaged.noted;
    onProgress(totalBytes, totalBytes);
    return { chunks: chunks.length, damaged: damaged.chunks };
  }

  async copyTo(fd: number, path: string, unchecked: readonly number[] = [...this.#chunks.set]): Promise<void> {
    await this.#reader.refuseDamaged(unchecked);
    if (!this.isComplete) throw new ShoalError('not_found', `file ${this.id} is not whole here`);
    try {
      if (await this.#data.shareWith(fd)) return;
      await ftruncate(fd, 0);
      await this.#data.withFd((from) =>
        this.#deps.hasher.copy({ from, size: this.size, to: fd }, { signal: this.#deps.closing, onProgress: () => {} }),
      );
    } catch (error) {
      this.#refuseAfterEnd();
      throw storageError(`copying ${this.id} to ${path}`, error);
    }
  }

  async whenDurable(): Promise<void> {
    this.#refuseAfterEnd();
    if (this.#ledger.isDurable) return;
    if (!this.isComplete) throw new ShoalError('not_found', `file ${this.id} is not whole here`);
    this.#finishing ??= this.#finish().finally(() => {
      this.#finishing = undefined;
    });
    await this.#finishing;
  }

  /**
   * Takes up what an earlier process left. Claimed chunks are checked against their digests before they are held;
   * `inTurn` says when. A file that is whole is made durable. Failures are logged.
   */
  resume(inTurn: (task: () => Promise<void>) => Promise<void>, claimed: ReadonlyChunkSet): void {
    if (claimed.count > 0) {
      this.#checking = inTurn(() => this.#recheck([...claimed]))
        .catch((error: unknown) => {
          if (!this.#deps.closing.aborted) this.#logFailure(error, 'could not check what was held before the restart');
        })
        .finally(() => {
          this.#checking = undefined;
        });
    } else if (this.isComplete) {
      this.finishInBackground();
    }
  }

  /** Resolves when it is decided which chunks are held after a crash. */
  async whenChecked(): Promise<void> {
    await this.#checking;
  }

  /** Notes that chunks that are not in {@link have} were lost, as was found before the file was made. */
  async noteLoss(chunks: readonly number[]): Promise<void> {
    await this.#ledger.lose(chunks, this.#chunks.set);
  }

  /** Makes the complete, synced file at `path` the data of this one. Durable when it resolves. */
  async adopt(path: string, sha256: string): Promise<void> {
    this.#refuseAfterEnd();
    await fs.promises.rename(path, this.#deps.paths.data(this.id));
    // Only now: whoever came between the two would have opened the old file again, to be read ever after.
    this.#data.detach();
    await this.#ledger.setWhole(sha256);
    this.#hold([...this.#chunks.set.missing()]);
  }

  /**
   * Deletes the file, and gives its room back even when that fails. Readers that are at it finish; everything else is
   * refused from now on.
   */
  async remove(): Promise<void> {
    this.#end = new ShoalError('not_found', `file ${this.id} was removed`);
    try {
      if (this.#deps.redo.covers(this.id)) await this.#forgetInLog();
      await this.#ledger.remove();
      await removeIfThere(this.#deps.paths.data(this.id));
      // Only now: a late reader may have opened it again meanwhile, and the file that has this path next is another.
      this.#data.detach();
    } finally {
      this.#chunks.releaseRoom();
    }
  }

  /** Refuses everything from now on, for that reason. */
  refuse(reason: ShoalError): void {
    this.#end ??= reason;
  }

  /** Resolves when nothing of it is under way. */
  async settle(): Promise<void> {
    await this.#checking;
    await this.#ledger.settle();
    await this.#data.settle();
  }

  async #forgetInLog(): Promise<void> {
    try {
      await this.#deps.redo.add({ id: this.id }, async () => {});
    } catch (error) {
      // No removal is sure to survive a crash of the machine, and none should wait for a disk that is full.
      this.#deps.log.warn(
        { error, id: this.id },
        'a file that is removed may come back when the machine goes down now',
      );
    }
  }

  async #finish(): Promise<void> {
    try {
      await this.#data.sync();
    } catch (error) {
      throw storageError(`making ${this.id} durable`, error);
    }
    this.#refuseAfterEnd();
    if (!this.isComplete) throw new ShoalError('corrupt', `file ${this.id} was found damaged`);
    await this.#ledger.setWhole();
  }

  /** Makes a file durable that is whole; a failure is logged. */
  finishInBackground(): void {
    this.whenDurable().catch((error: unknown) => this.#logFailure(error, 'could not make a complete file durable'));
  }

  async #recheck(claimed: readonly number[]): Promise<void> {
    const damaged = new Set(
      await this.#reader.findDamaged(claimed, { signal: this.#deps.closing, onProgress: () => {} }),
    );
    this.#refuseAfterEnd();
    if (damaged.size > 0) {
      this.#deps.log.warn({ id: this.id, chunks: damaged.size }, 'chunks did not survive the crash of the machine');
    }
    this.#hold(claimed.filter((index) => !damaged.has(index)));
    if (!this.#ledger.isWhole) await this.#ledger.replaceHeld(this.#chunks.set);
  }

  /** Takes chunks into `have` and tells; false when all were there. */
  #hold(chunks: readonly number[]): boolean {
    const { isNew, hasCompleted } = this.#chunks.hold(chunks);
    if (hasCompleted) this.finishInBackground();
    return isNew;
  }

  /** Made for each use: a peer holds many files, and one for each of them would be as much as all else. */
  get #reader(): ChunkReader {
    return new ChunkReader(this.#deps, { layout: this.#layout, data: this.#data, chunks: this.#chunks, owner: this });
  }

  get #info(): FileInfo {
    if (!this.#ledger.isInfoKept) this.#refuseAfterEnd();
    return this.#ledger.info;
  }

  #refuseAfterEnd(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  #logFailure(error: unknown, message: string): void {
    // What ended the file is no failure of what it interrupted.
    if (this.#end === undefined) this.#deps.log.error({ error, id: this.id }, message);
  }
}
