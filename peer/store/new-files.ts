import fs from 'node:fs';
import { ChunkSet } from '../chunk-set.js';
import type { Manifest } from '../manifest.js';
import { removeIfThere, storageError } from './file-io.js';
import type { Folders } from './folders.js';
import { footprintOf } from './footprint.js';
import type { HeldFileState } from './held-file.js';
import type { InfoCache } from './info-cache.js';
import { encodeInfo, type FileInfo, replaceInfo, writeTemporaryInfo } from './info-file.js';
import type { Ingested } from './ingest.js';
import type { RedoLog } from './redo-log.js';
import type { SmallWriter } from './small-writer.js';
import type { Reservation, Space } from './space.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

/** What {@link NewFiles} work with. */
export interface NewFilesDeps {
  readonly paths: StorePaths;
  readonly folders: Folders;
  readonly space: Space;
  readonly syncer: Syncer;
  readonly writer: SmallWriter;
  readonly redo: Pick<RedoLog, 'add'>;
  readonly infos: InfoCache;
  /** Names the boot of the machine. */
  readonly boot: string;
}

/** How a whole file begins. */
export interface WholeFileOptions {
  /** Known to be good. */
  readonly records: readonly string[];
  /** Whether it survives a crash of the machine when it is here. */
  readonly isDurable: boolean;
}

/**
 * Gives a file that the store does not have yet its place on the disk, in one of three ways. What comes back is how it stands
 * there, with its room; when one throws (`exhausted` when there is no room, else what the disk says), nothing is left.
 */
export class NewFiles {
  readonly #deps: NewFilesDeps;

  constructor(deps: NewFilesDeps) {
    this.#deps = deps;
  }

  /** One without chunks, which are to come. */
  async empty(manifest: Manifest): Promise<HeldFileState> {
    const { paths, folders, space } = this.#deps;
    const { id, size, chunkCount } = manifest;
    const reservation = await space.reserve(footprintOf(size), `file ${id}`);
    const notes = { sha256: undefined, isHashedHere: false, records: [], isDamaged: false };
    const info: FileInfo = { manifest, isComplete: false, ...notes };
    try {
      await folders.provide(id);
      const data = await fs.promises.open(paths.data(id), 'w', 0o600);
      try {
        await data.truncate(size);
      } finally {
        await data.close();
      }
      await replaceInfo(this.#deps, info, { durable: false });
    } catch (error) {
      reservation.release();
      await removeIfThere(paths.data(id));
      throw storageError(`making room for file ${id}`, error);
    }
    reservation.land(reservation.bytes - size);
    this.#deps.infos.put(info);
    return { id, size, have: new ChunkSet(chunkCount), isWhole: false, isFresh: true, notes: info, reservation };
  }

  /** A small one, with its bytes: written unsynced, and durable by the log. */
  async small(
    bytes: Buffer,
    { manifest, sha256 }: Pick<Ingested, 'manifest' | 'sha256'>,
    { records, isDurable }: WholeFileOptions,
  ): Promise<HeldFileState> {
    const { paths, folders, space, writer, redo, boot } = this.#deps;
    const { id, size } = manifest;
    const reservation = await space.reserve(footprintOf(size), 'the file');
    const notes = { sha256, isHashedHere: true, records, isDamaged: false };
    const info: FileInfo = { manifest, isComplete: true, ...notes, unsyncedBoot: boot };
    try {
      await folders.provide(id);
      const written = settled([
        writer.write({ path: paths.data(id), bytes }),
        // In one step: half an info file is a damaged one, even of a file that nobody was told of.
        writer.write({ path: paths.info(id), temporary: paths.newTemporary(), bytes: encodeInfo(info) }),
      ]);
      const entry = { id, info: encodeInfo({ ...info, unsyncedBoot: undefined }), data: bytes };
      await settled([written, ...(isDurable ? [redo.add(entry, () => written)] : [])]);
    } catch (error) {
      reservation.release();
      await Promise.all([paths.info(id), paths.data(id)].map(removeIfThere));
      throw storageError('storing a file', error);
    }
    return this.#whole(info, reservation);
  }

  /**
   * One that a spool has, which takes its place, and keeps it when that fails. Synced data first, then the info file that makes
   * it a file, then both names durable at once; or none of it synced.
   */
  async spooled(
    { spool, manifest, sha256 }: Ingested,
    { records, isDurable }: WholeFileOptions,
  ): Promise<HeldFileState> {
    const { paths, folders, syncer, boot } = this.#deps;
    const { id } = manifest;
    const unsyncedBoot = isDurable ? undefined : boot;
    const notes = { sha256, isHashedHere: true, records, isDamaged: false, unsyncedBoot };
    const info: FileInfo = { manifest, isComplete: true, ...notes };
    const written = writeTemporaryInfo(this.#deps, info, { durable: isDurable });
    try {
      await Promise.all([written, isDurable && spool.sync(), folders.provide(id)]);
    } catch (error) {
      await written.then(removeIfThere, () => undefined);
      throw error;
    }
    const temporary = await written;
    try {
      await fs.promises.rename(spool.path, paths.data(id));
      await fs.promises.rename(temporary, paths.info(id));
      if (isDurable) await syncer.directory(paths.folder(id));
    } catch (error) {
      await Promise.all([paths.info(id), paths.data(id), temporary].map(removeIfThere));
      throw error;
    }
    spool.taken();
    return this.#whole(info, spool.reservation);
  }

  #whole(info: FileInfo, reservation: Reservation): HeldFileState {
    reservation.landAll();
    this.#deps.infos.put(info);
    const { id, size, chunkCount } = info.manifest;
    const have = ChunkSet.full(chunkCount);
    return { id, size, have, isWhole: true, isFresh: false, notes: info, reservation };
  }
}

/** Waits for all, then throws what the first that failed says: nothing of it is under way any more. */
async function settled(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
