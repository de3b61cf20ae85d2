import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { resolve } from 'node:path';
import { abortError, ShoalError, toShoalError } from '../common/errors.js';
import { KeyedLanes, Lane } from '../common/lane.js';
import type { Logger } from '../common/log.js';
import { ChunkSet } from './chunk-set.js';
import type { Hasher } from './hasher.js';
import { type Manifest, manifestOf } from './manifest.js';
import { readBootId } from './store/boot-id.js';
import { FdCache } from './store/fd-cache.js';
import { removeIfThere, storageError } from './store/file-io.js';
import { Folders } from './store/folders.js';
import { footprintOf } from './store/footprint.js';
import { HeldFile, type HeldFileDeps, type HeldFileState } from './store/held-file.js';
import { InfoCache } from './store/info-cache.js';
import { encodeInfo, type FileInfo, replaceInfo, writeTemporaryInfo } from './store/info-file.js';
import { type Ingested, Ingester, type IngestOptions, type IngestSource } from './store/ingest.js';
import { ReadPace } from './store/read-pace.js';
import { RedoLog } from './store/redo-log.js';
import { SmallWriter } from './store/small-writer.js';
import { diskFreeBytes, Space } from './store/space.js';
import { lockStore, type StoreLock } from './store/store-lock.js';
import { StorePaths } from './store/store-paths.js';
import { type FoundFile, scanStore } from './store/store-scan.js';
import { Syncer } from './store/syncer.js';
import { WriteSlots } from './store/write-combiner.js';
import type { StoredFile } from './stored-file.js';

export type { IngestOptions, IngestSource } from './store/ingest.js';
export type { StoredFile } from './stored-file.js';

const OPEN_FILES = 256;
/**
 * Writes go to memory first, so one keeps up with the network, in larger pieces for what it makes wait. More of them take
 * the cores from the event loop: it waited for one as long as it ran.
 */
const WRITES_AT_ONCE = 1;
/** Of a log; there are at most three. */
const REDO_BYTES = 64 * 1024 * 1024;
/** Larger files are synced each by itself: going through the log, they would be written twice. */
const LOGGED_BYTES = 256 * 1024;
/** For manifests and records of files that are in use. */
const INFO_BYTES = 8 * 1024 * 1024;

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
  readonly #log: Logger;
  readonly #dir: string;
  readonly #quotaBytes: number;
  readonly #paths: StorePaths;
  readonly #space: Space;
  readonly #syncer = new Syncer();
  readonly #folders: Folders;
  readonly #redo: RedoLog;
  readonly #fileDeps: HeldFileDeps;
  readonly #ingester: Ingester;
  readonly #files = new Map<string, HeldFile>();
  readonly #lanes = new KeyedLanes();
  readonly #listeners = new Set<(event: StoreEvent) => void>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  /** Ingests, to be stopped when the store closes. */
  readonly #underWay = new Set<AbortController>();
  #lock: StoreLock | undefined;
  #isOpen = false;

  /** `quotaBytes` 0 means no quota; `reserveBytes` of the disk are left to others. */
  constructor(
    deps: { readonly log: Logger; readonly hasher: Hasher },
    options: { readonly dir: string; readonly quotaBytes: number; readonly reserveBytes: number },
  ) {
    const { log, hasher } = deps;
    this.#log = log;
    this.#dir = resolve(options.dir);
    this.#quotaBytes = options.quotaBytes;
    this.#paths = new StorePaths(this.#dir);
    this.#folders = new Folders({ paths: this.#paths, syncer: this.#syncer });
    this.#space = new Space(
      {
        log,
        diskFreeBytes: () => diskFreeBytes(this.#dir),
        reclaim: () => this.#redo.clear(),
        freed: () => this.#redo.tryAgain(),
      },
      options,
    );
    const shared = {
      ...{ log, hasher, paths: this.#paths, syncer: this.#syncer, space: this.#space },
      boot: readBootId(),
      closing: this.#closing.signal,
    };
    this.#redo = new RedoLog(shared, { logBytes: REDO_BYTES });
    this.#fileDeps = {
      ...shared,
      redo: this.#redo,
      writer: new SmallWriter({ hasher }),
      fds: new FdCache({ log }, { capacity: OPEN_FILES }),
      pace: new ReadPace(),
      slots: new WriteSlots(WRITES_AT_ONCE),
      infos: new InfoCache({ capacityBytes: INFO_BYTES }),
      changes: new KeyedLanes(),
      onEvent: (kind, id) => this.#emit(kind, id),
    };
    this.#ingester = new Ingester({ hasher, syncer: this.#syncer, space: this.#space, paths: this.#paths });
  }

  /**
   * Finds what is in the folder, which is made if it is missing. After a crash of the machine, chunks that were not
   * known to be durable are checked in the background before they are held. Throws `conflict` when another process has
   * the store open.
   */
  async open(signal: AbortSignal = this.#closing.signal): Promise<void> {
    await this.#folders.prepare().catch((error: unknown) => {
      throw storageError(`making the store in ${this.#dir}`, error);
    });
    this.#lock = lockStore(this.#paths.lock, this.#dir);
    try {
      await this.#redo.open();
      const left: { file: HeldFile; claimed: ChunkSet }[] = [];
      for await (const found of scanStore({ paths: this.#paths, log: this.#log, boot: this.#fileDeps.boot }, signal)) {
        const file = this.#enterFound(found);
        if (found.lost.length > 0) {
          this.#log.error({ id: file.id, chunks: found.lost.length }, 'the data of a file was cut short');
          await file.noteLoss(found.lost);
        }
        if (!found.info.isComplete) left.push({ file, claimed: found.claimed });
      }
      this.#isOpen = true;
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
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const reason = new ShoalError('unavailable', 'the peer is shutting down');
    this.#closing.abort(reason);
    for (const ingest of this.#underWay) ingest.abort(reason);
    await Promise.allSettled(this.#running);
    await Promise.all([...this.#files.values()].map((file) => file.close(reason)));
    await this.#fileDeps.fds.close();
    await this.#redo.close();
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
    return this.#track(async () => {
      if ('bytes' in source && source.bytes.length <= LOGGED_BYTES) {
        const kept = await this.#ingestSmall(source.bytes, options);
        if (kept !== undefined) return kept;
      }
      const ingested = await this.#untilClosed(options.signal, (signal) =>
        this.#ingester.take(source, { signal, onProgress: options.onProgress }),
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
    return this.#track(() =>
      this.#lanes.run(manifest.id, async () => {
        const existing = this.#files.get(manifest.id);
        await existing?.whenChecked();
        return existing ?? (await this.#create(manifest));
      }),
    );
  }

  /** A file, whole or not. */
  get(id: string): StoredFile | undefined {
    this.#refuseUnlessOpen();
    return this.#files.get(id);
  }

  /** All files, whole or not, in no order. */
  list(): StoredFile[] {
    this.#refuseUnlessOpen();
    return [...this.#files.values()];
  }

  /**
   * Deletes a file and gives its room back; not if `unless`, asked when nothing else is done with the file, says so. Returns
   * whether it did. Throws `not_found` when there is none.
   */
  async remove(id: string, { unless }: { readonly unless?: () => boolean } = {}): Promise<boolean> {
    return this.#track(() =>
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
          file.reservation.release();
          this.#emit('removed', id);
        }
        return true;
      }),
    );
  }

  /** How full the store is. */
  usage(): StoreUsage {
    this.#refuseUnlessOpen();
    let files = 0;
    for (const file of this.#files.values()) if (file.isComplete) files += 1;
    return {
      usedBytes: this.#space.usedBytes,
      freeBytes: this.#space.freeBytes,
      quotaBytes: this.#quotaBytes,
      files,
      partialFiles: this.#files.size - files,
      unsettledLogs: this.#redo.unsettledCount,
    };
  }

  /** Calls `listener` with what happens from now on. Returns what ends that. */
  onChange(listener: (event: StoreEvent) => void): () => void {
    const entry = (event: StoreEvent): void => listener(event);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
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
      reservation: this.#space.adopt(footprint, footprint - missingBytes, id),
    });
  }

  #enter(state: HeldFileState): HeldFile {
    const file = new HeldFile(this.#fileDeps, state);
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

  async #create(manifest: Manifest): Promise<HeldFile> {
    const { id, size, chunkCount } = manifest;
    const reservation = await this.#space.reserve(footprintOf(size), `file ${id}`);
    const notes = { sha256: undefined, isHashedHere: false, records: [], isDamaged: false };
    const info: FileInfo = { manifest, isComplete: false, ...notes };
    try {
      await this.#folders.provide(id);
      const data = await fs.promises.open(this.#paths.data(id), 'w', 0o600);
      try {
        await data.truncate(size);
      } finally {
        await data.close();
      }
      await replaceInfo(this.#fileDeps, info, { durable: false });
    } catch (error) {
      reservation.release();
      await removeIfThere(this.#paths.data(id));
      throw storageError(`making room for file ${id}`, error);
    }
    reservation.land(reservation.bytes - size);
    this.#fileDeps.infos.put(info);
    const have = new ChunkSet(chunkCount);
    const file = this.#enter({ id, size, have, isWhole: false, isFresh: true, notes: info, reservation });
    this.#emit('added', id);
    if (file.isComplete) {
      this.#emit('completed', id);
      file.finishInBackground();
    }
    return file;
  }

  /**
   * Good bytes are at hand: should the disk have damaged those that are here, this is the time to find out. Returns
   * whether all were here. Outside of the file's turns, so that a removal does not wait, and come after what is kept now.
   */
  async #verifyHeld(manifest: Manifest): Promise<boolean> {
    const existing = this.#files.get(manifest.id);
    if (existing?.isComplete !== true) return false;
    try {
      await existing.verify(this.#closing.signal, () => {});
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
    const file = await this.#publish(ingested, how);
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
      const file = await this.#keepSmall(bytes, { manifest, sha256 }, options);
      options.onProgress(bytes.length, bytes.length);
      options.onKept?.(file.id);
      return { file, sha256, isNew: true };
    });
  }

  async #keepSmall(
    bytes: Buffer,
    { manifest, sha256 }: Pick<Ingested, 'manifest' | 'sha256'>,
    { records = [], isDurable = true }: Pick<IngestOptions, 'records' | 'isDurable'>,
  ): Promise<HeldFile> {
    const { id, size, chunkCount } = manifest;
    const { boot, writer, infos } = this.#fileDeps;
    const reservation = await this.#space.reserve(footprintOf(size), 'the file');
    const notes = { sha256, isHashedHere: true, records, isDamaged: false };
    const info: FileInfo = { manifest, isComplete: true, ...notes, unsyncedBoot: boot };
    try {
      await this.#folders.provide(id);
      const written = settled([
        writer.write({ path: this.#paths.data(id), bytes }),
        // In one step: half an info file is a damaged one, even of a file that nobody was told of.
        writer.write({ path: this.#paths.info(id), temporary: this.#paths.newTemporary(), bytes: encodeInfo(info) }),
      ]);
      const entry = { id, info: encodeInfo({ ...info, unsyncedBoot: undefined }), data: bytes };
      await settled([written, ...(isDurable ? [this.#redo.add(entry, () => written)] : [])]);
    } catch (error) {
      reservation.release();
      await Promise.all([this.#paths.info(id), this.#paths.data(id)].map(removeIfThere));
      throw storageError('storing a file', error);
    }
    reservation.landAll();
    infos.put(info);
    const have = ChunkSet.full(chunkCount);
    const file = this.#enter({ id, size, have, isWhole: true, isFresh: false, notes: info, reservation });
    this.#emit('added', id);
    this.#emit('completed', id);
    return file;
  }

  /** Synced data first, then the info file that makes it a file, then both names durable at once; or none of it synced. */
  async #publish(
    { spool, manifest, sha256 }: Ingested,
    { records = [], isDurable = true }: Pick<IngestOptions, 'records' | 'isDurable'>,
  ): Promise<HeldFile> {
    const { id, size, chunkCount } = manifest;
    const unsyncedBoot = isDurable ? undefined : this.#fileDeps.boot;
    const notes = { sha256, isHashedHere: true, records, isDamaged: false, unsyncedBoot };
    const info: FileInfo = { manifest, isComplete: true, ...notes };
    const written = writeTemporaryInfo(this.#fileDeps, info, { durable: isDurable });
    try {
      await Promise.all([written, isDurable && spool.sync(), this.#folders.provide(id)]);
    } catch (error) {
      await written.then(removeIfThere, () => undefined);
      throw error;
    }
    const temporary = await written;
    try {
      await fs.promises.rename(spool.path, this.#paths.data(id));
      await fs.promises.rename(temporary, this.#paths.info(id));
      if (isDurable) await this.#syncer.directory(this.#paths.folder(id));
    } catch (error) {
      await Promise.all([this.#paths.info(id), this.#paths.data(id), temporary].map(removeIfThere));
      throw error;
    }
    spool.taken();
    spool.reservation.landAll();
    this.#fileDeps.infos.put(info);
    const have = ChunkSet.full(chunkCount);
    const { reservation } = spool;
    const file = this.#enter({ id, size, have, isWhole: true, isFresh: false, notes: info, reservation });
    this.#emit('added', id);
    this.#emit('completed', id);
    return file;
  }

  #emit(kind: StoreEvent['kind'], id: string): void {
    for (const listener of this.#listeners) {
      try {
        listener({ kind, id });
      } catch (error) {
        this.#log.error({ error, id, kind }, 'a listener of the store failed');
      }
    }
  }

  /** Runs something that {@link close} waits for. */
  async #track<T>(task: () => Promise<T>): Promise<T> {
    this.#refuseUnlessOpen();
    const running = task();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Runs `task` with a signal that fires when `signal` does or the store closes. */
  async #untilClosed<T>(signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const either = new AbortController();
    const stop = (): void => either.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    // Not listeners of one signal: adding one takes the longer, the more there are.
    this.#underWay.add(either);
    try {
      return await task(either.signal);
    } finally {
      this.#underWay.delete(either);
      signal.removeEventListener('abort', stop);
    }
  }

  #refuseUnlessOpen(): void {
    if (!this.#isOpen) throw new ShoalError('unavailable', `the store in ${this.#dir} is not open`);
  }
}

/** Waits for all, then throws what the first that failed says: nothing of it is under way any more. */
async function settled(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
