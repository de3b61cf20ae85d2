import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { abortError, ShoalError, toShoalError } from '../common/errors.js';
import { KeyedLanes, Lane } from '../common/lane.js';
import type { Logger } from '../common/log.js';
import type { ChunkSet } from './chunk-set.js';
import type { Hasher } from './hasher.js';
import { type Manifest, manifestOf } from './manifest.js';
import { storageError } from './store/file-io.js';
import { footprintOf } from './store/footprint.js';
import { HeldFile, type HeldFileState } from './store/held-file.js';
import type { Ingested, IngestOptions, IngestSource } from './store/ingest.js';
import { Listeners } from './store/listeners.js';
import type { WholeFileOptions } from './store/new-files.js';
import { lockStore, type StoreLock } from './store/store-lock.js';
import { buildStoreParts } from './store/store-parts.js';
import { type FoundFile, scanStore } from './store/store-scan.js';
import { StoreWork } from './store/store-work.js';
import type { StoredFile } from './stored-file.js';

export type { IngestOptions, IngestSource } from './store/ingest.js';
export type { StoredFile } from './stored-file.js';

/** Larger files are synced each by itself: going through the log, they would be written twice. */
const LOGGED_BYTES = 256 * 1024;

/** What the store tells its listeners. A file that was ingested is `added` and `completed` at once. */
export interface StoreEvent {
  readonly kind: 'added' | 'completed' | 'removed' | 'damaged';
  /** File id. */
  readonly id: string;
}

/** How full the store is. */
export interface StoreUsage {
  /** What all files take on the disk, also the parts of them that are not here yet, for which room is kept. */
  readonly usedBytes: number;
  /** Bytes that can still be taken. */
  readonly freeBytes: number;
  /** 0 means that there is no quota. */
  readonly quotaBytes: number;
  /** Complete files. */
  readonly files: number;
  readonly partialFiles: number;
  /** Logs of small files that the disk did not let be settled: nothing is lost, but it fails. */
  readonly unsettledLogs: number;
}

/**
 * The files of one peer, in one folder, which one process at a time can open. Everything throws `unavailable` before
 * {@link open} and after {@link close}. Calls about one file take turns.
 */
export class ChunkStore {
  readonly #dir: string;
  readonly #quotaBytes: number;
  readonly #parts: ReturnType<typeof buildStoreParts>;
  readonly #files = new Map<string, HeldFile>();
  readonly #lanes = new KeyedLanes();
  readonly #listeners: Listeners<StoreEvent>;
  readonly #work: StoreWork;
  #lock: StoreLock | undefined;

  /** `quotaBytes` 0 means no quota; `reserveBytes` of the disk are left to others. */
  constructor(
    deps: { readonly log: Logger; readonly hasher: Hasher },
    options: { readonly dir: string; readonly quotaBytes: number; readonly reserveBytes: number },
  ) {
    this.#dir = resolve(options.dir);
    this.#quotaBytes = options.quotaBytes;
    this.#work = new StoreWork({ dir: this.#dir });
    this.#listeners = new Listeners(deps, { failure: 'a listener of the store failed' });
    this.#parts = buildStoreParts(
      { ...deps, closing: this.#work.closing, onEvent: (kind, id) => this.#emit(kind, id) },
      { ...options, dir: this.#dir },
    );
  }

  /**
   * Finds what is in the folder, which is made if it is missing. After a crash of the machine, chunks that were not
   * known to be durable are checked in the background before they are held. Throws `conflict` when another process has
   * the store open.
   */
  async open(signal: AbortSignal = this.#work.closing): Promise<void> {
    const { folders, paths, redo, fileDeps } = this.#parts;
    await folders.prepare().catch((error: unknown) => {
      throw storageError(`making the store in ${this.#dir}`, error);
    });
    this.#lock = lockStore(paths.lock, this.#dir);
    try {
      await redo.open();
      const left: { file: HeldFile; claimed: ChunkSet }[] = [];
      for await (const found of scanStore(fileDeps, signal)) {
        const file = this.#enterFound(found);
        if (found.lost.length > 0) {
          fileDeps.log.error({ id: file.id, chunks: found.lost.length }, 'the data of a file was cut short');
          await file.noteLoss(found.lost);
        }
        if (!found.info.isComplete) left.push({ file, claimed: found.claimed });
      }
      this.#work.open();
      this.#resume(left);
    } catch (error) {
      this.#files.clear();
      this.#lock.release();
      this.#lock = undefined;
      throw storageError(`opening the store in ${this.#dir}`, error);
    }
  }

  /** Ends what is under way with `unavailable` and gives the folder free. What was held is there at the next open. */
  async close(): Promise<void> {
    if (!this.#work.isOpen) return;
    const reason = new ShoalError('unavailable', 'the peer is shutting down');
    await this.#work.close(reason);
    for (const file of this.#files.values()) file.refuse(reason);
    // One after the other: promises for all of them take more memory than the files.
    for (const file of this.#files.values()) await file.settle();
    await this.#parts.fileDeps.fds.close();
    await this.#parts.redo.close();
    this.#lock?.release();
  }

  /**
   * Takes a file in. It is durable when this resolves. Content that is here already is not stored again: it is verified,
   * made good if it was damaged, the same {@link StoredFile} comes back, and `isNew` is false. Throws `exhausted` when it
   * does not fit (before the first byte when the size is known), `conflict` when a source file changes meanwhile,
   * `invalid`, `not_found` or `denied` when the source is no readable regular file, and what `signal` says when it fires;
   * nothing is left then.
   */
  async ingest(
    source: IngestSource,
    options: IngestOptions,
  ): Promise<{ readonly file: StoredFile; readonly sha256: string; readonly isNew: boolean }> {
    return this.#work.run(async () => {
      if ('bytes' in source && source.bytes.length <= LOGGED_BYTES) {
        const kept = await this.#ingestSmall(source.bytes, options);
        if (kept !== undefined) return kept;
      }
      const ingested = await this.#work.untilClosed(options.signal, (signal) =>
        this.#parts.ingester.take(source, { signal, onProgress: options.onProgress }),
      );
      try {
        const wasComplete = await this.#verifyHeld(ingested.manifest);
        return await this.#lanes.run(ingested.manifest.id, async () => {
          const kept = await this.#keep(ingested, { ...options, wasComplete });
          options.onKept?.(kept.file.id);
          return kept;
        });
      } catch (error) {
        throw storageError('storing a file', error);
      } finally {
        await ingested.spool.close();
      }
    });
  }

  /** The file with this manifest: the one that is here, or a new one without chunks for which room is set aside. */
  async begin(manifest: Manifest): Promise<StoredFile> {
    return this.#work.run(() =>
      this.#lanes.run(manifest.id, async () => {
        const existing = this.#files.get(manifest.id);
        await existing?.whenChecked();
        if (existing !== undefined) return existing;
        const file = this.#add(await this.#parts.newFiles.empty(manifest));
        if (file.isComplete) file.finishInBackground();
        return file;
      }),
    );
  }

  /** A file, whole or not. */
  get(id: string): StoredFile | undefined {
    this.#work.refuseUnlessOpen();
    return this.#files.get(id);
  }

  /** All files, whole or not, in no order. */
  list(): StoredFile[] {
    this.#work.refuseUnlessOpen();
    return [...this.#files.values()];
  }

  /**
   * Deletes a file and gives its room back; not if `unless`, asked when nothing else is done with the file, says so. Returns
   * whether it did. Throws `not_found` when there is none.
   */
  async remove(id: string, { unless }: { readonly unless?: () => boolean } = {}): Promise<boolean> {
    return this.#work.run(() =>
      this.#lanes.run(id, async () => {
        const file = this.#files.get(id);
        if (file === undefined) throw new ShoalError('not_found', `file ${id} is not in the store`);
        if (unless?.() === true) return false;
        this.#files.delete(id);
        try {
          await file.remove();
        } catch (error) {
          throw storageError(`removing ${id}`, error);
        } finally {
          this.#emit('removed', id);
        }
        return true;
      }),
    );
  }

  /** How full the store is. */
  usage(): StoreUsage {
    this.#work.refuseUnlessOpen();
    let files = 0;
    for (const file of this.#files.values()) if (file.isComplete) files += 1;
    return {
      usedBytes: this.#parts.space.usedBytes,
      freeBytes: this.#parts.space.freeBytes,
      quotaBytes: this.#quotaBytes,
      files,
      partialFiles: this.#files.size - files,
      unsettledLogs: this.#parts.redo.unsettledCount,
    };
  }

  /** Calls `listener` with what happens from now on. Returns what ends that. */
  onChange(listener: (event: StoreEvent) => void): () => void {
    return this.#listeners.add(listener);
  }

  #enterFound({ info, have }: FoundFile): HeldFile {
    const { id, size, chunkBytes } = info.manifest;
    const footprint = footprintOf(size);
    const missingBytes = info.isComplete ? 0 : size - Math.min(size, have.count * chunkBytes);
    return this.#enter({
      id,
      size,
      have,
      isWhole: info.isComplete,
      isFresh: false,
      notes: info,
      reservation: this.#parts.space.adopt(footprint, footprint - missingBytes, id),
    });
  }

  #enter(state: HeldFileState): HeldFile {
    const file = new HeldFile(this.#parts.fileDeps, state);
    this.#files.set(file.id, file);
    return file;
  }

  /** One after the other: checking is bound by the disk. */
  #resume(left: readonly { file: HeldFile; claimed: ChunkSet }[]): void {
    const lane = new Lane(1);
    for (const { file, claimed } of left) {
      file.resume((task) => lane.run(task), claimed);
    }
  }

  /**
   * Good bytes are at hand: should the disk have damaged those that are here, this is the time to find out. Returns
   * whether all were here. Outside of the file's turns, so that a removal does not wait, and come after what is kept now.
   */
  async #verifyHeld(manifest: Manifest): Promise<boolean> {
    const existing = this.#files.get(manifest.id);
    if (existing?.isComplete !== true) return false;
    try {
      await existing.verify(this.#work.closing, () => {});
    } catch (error) {
      // It is being removed, or gone: what is at hand is kept as a new file when its turn comes.
      if (toShoalError(error).code !== 'not_found' && this.#files.get(manifest.id) === existing) throw error;
      return false;
    }
    return true;
  }

  async #keep(
    ingested: Ingested,
    how: Pick<IngestOptions, 'records' | 'isDurable'> & { readonly wasComplete: boolean },
  ): Promise<{ file: StoredFile; sha256: string; isNew: boolean }> {
    const { spool, manifest, sha256 } = ingested;
    const existing = this.#files.get(manifest.id);
    await existing?.whenChecked();
    if (existing?.isComplete) {
      await existing.setHash(sha256);
      await existing.whenDurable();
      return { file: existing, sha256, isNew: false };
    }
    if (existing !== undefined) {
      await spool.sync();
      // Its room is set aside already; that of the spool goes with the spool.
      await existing.adopt(spool.path, sha256);
      return { file: existing, sha256, isNew: !how.wasComplete };
    }
    const file = this.#add(await this.#parts.newFiles.spooled(ingested, beginningOf(how)));
    return { file, sha256, isNew: true };
  }

  /** A small file that is new: written unsynced, and durable by the log. Undefined when some of it is here already. */
  #ingestSmall(
    bytes: Buffer,
    options: IngestOptions,
  ): Promise<{ file: StoredFile; sha256: string; isNew: boolean } | undefined> {
    if (options.signal.aborted) throw abortError(options.signal);
    const manifest = manifestOf(bytes);
    return this.#lanes.run(manifest.id, async () => {
      if (this.#files.has(manifest.id)) return undefined;
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const file = this.#add(await this.#parts.newFiles.small(bytes, { manifest, sha256 }, beginningOf(options)));
      options.onProgress(bytes.length, bytes.length);
      options.onKept?.(file.id);
      return { file, sha256, isNew: true };
    });
  }

  /** Enters a file that came to be just now, and tells. */
  #add(state: HeldFileState): HeldFile {
    const file = this.#enter(state);
    this.#emit('added', file.id);
    if (file.isComplete) this.#emit('completed', file.id);
    return file;
  }

  #emit(kind: StoreEvent['kind'], id: string): void {
    this.#listeners.tell({ kind, id }, { id, kind });
  }
}

function beginningOf({
  records = [],
  isDurable = true,
}: Pick<IngestOptions, 'records' | 'isDurable'>): WholeFileOptions {
  return { records, isDurable };
}
