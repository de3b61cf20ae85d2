import fs from 'node:fs';
import { promisify } from 'node:util';
import { ChunkSet } from '../chunk-set.js';
import { chunkCountFor } from '../manifest.js';
import type { ChunkLayout } from './chunk-layout.js';
import type { FdCache } from './fd-cache.js';
import { isZero, readFully, readFullySync, systemCode, writeFully } from './file-io.js';
import type { ReadPace } from './read-pace.js';
import type { StorePaths } from './store-paths.js';
import { type Syncer, Writeback } from './syncer.js';
import { WriteCombiner, type WriteSlots } from './write-combiner.js';

const fstat = promisify(fs.fstat);
const fchmod = promisify(fs.fchmod);

/** Two, so that one is ready when the other ends. */
const WRITES_AT_ONCE = 2;
const MAX_WRITE_BYTES = 4 * 1024 * 1024;

const CANNOT_SHARE: ReadonlySet<string> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']);

/** What data files share. */
export interface DataFileDeps {
  readonly fds: FdCache;
  readonly paths: StorePaths;
  readonly syncer: Syncer;
  readonly pace: ReadPace;
  readonly slots: WriteSlots;
}

/**
 * The bytes of one file, in a file that has its full size from the start and holes where chunks are missing. Knows
 * nothing of digests or of what is held. Throws what the system calls say.
 */
export class DataFile {
  readonly #deps: DataFileDeps;
  readonly #layout: ChunkLayout;
  #writeback: Writeback | undefined;
  #combiner: WriteCombiner | undefined;
  /** Chunks that may be something else than a hole; undefined when that is not known. */
  #touched: ChunkSet | undefined;

  /** `isFresh` tells that the file was just made and is one hole. */
  constructor(deps: DataFileDeps, file: { readonly layout: ChunkLayout; readonly isFresh: boolean }) {
    this.#deps = deps;
    this.#layout = file.layout;
    this.#touched = file.isFresh ? new ChunkSet(chunkCountFor(file.layout.size)) : undefined;
  }

  /** Runs `use` with the open file, which stays open, even when it is removed, until `use` is done. */
  async withFd<T>(use: (fd: number) => Promise<T>): Promise<T> {
    const file = this.#deps.fds.borrow(this.#path);
    try {
      return await use(file.fd);
    } finally {
      file.release();
    }
  }

  /** Reads `target` full; resolves to the bytes read, fewer only when the file ends. */
  async read(target: Buffer, position: number): Promise<number> {
    const beganMs = performance.now();
    if (!this.#deps.pace.isQuick(beganMs)) return await this.withFd((fd) => readFully(fd, target, position));
    const bytesRead = this.readSync(target, position);
    const nowMs = performance.now();
    this.#deps.pace.took(nowMs - beganMs, nowMs);
    return bytesRead;
  }

  /** {@link read} on the calling thread. */
  readSync(target: Buffer, position: number): number {
    const file = this.#deps.fds.borrow(this.#path);
    try {
      return readFullySync(file.fd, target, position);
    } finally {
      file.release();
    }
  }

  /** Writes a chunk. One of zeros is left as the hole that it is, unless something else may be there. */
  async write(index: number, pieces: readonly Buffer[]): Promise<void> {
    if (this.#touched?.has(index) === false && pieces.every(isZero)) return;
    this.#touched?.add(index);
    await this.#combined.write(pieces, index * this.#layout.chunkBytes);
    this.#writer.wrote(pieces.reduce((sum, piece) => sum + piece.length, 0));
  }

  /** Resolves when everything that was written is durable. */
  sync(): Promise<void> {
    return this.#writer.finish();
  }

  /** Resolves when no sync is under way. */
  async settle(): Promise<void> {
    await this.#writeback?.settle();
  }

  /** To be called when another file is about to take this one's path, or none. */
  detach(): void {
    this.#deps.fds.drop(this.#path);
    this.#touched = undefined;
  }

  /**
   * Makes `target`, an open file, a copy: blocks are shared where the file system can, otherwise copied in the kernel.
   * Resolves to false, with `target` in any state, when that would fill holes or is not possible here.
   */
  async shareWith(target: number): Promise<boolean> {
    if (process.platform !== 'linux') return false;
    const stats = await this.withFd((fd) => fstat(fd));
    const isSparse = stats.blocks * 512 < stats.size;
    const { mode } = await fstat(target);
    try {
      const how = isSparse ? fs.constants.COPYFILE_FICLONE_FORCE : fs.constants.COPYFILE_FICLONE;
      await fs.promises.copyFile(this.#path, `/proc/self/fd/${target}`, how);
    } catch (error) {
      if (isSparse && CANNOT_SHARE.has(systemCode(error) ?? '')) return false;
      throw error;
    }
    // copyFile gives the target the mode of the source as well.
    await fchmod(target, mode & 0o7777);
    return true;
  }

  get #path(): string {
    return this.#deps.paths.data(this.#layout.id);
  }

  get #combined(): WriteCombiner {
    this.#combiner ??= new WriteCombiner(
      { write: (pieces, position) => this.withFd((fd) => writeFully(fd, pieces, position)), slots: this.#deps.slots },
      { atOnce: WRITES_AT_ONCE, maxBytes: MAX_WRITE_BYTES },
    );
    return this.#combiner;
  }

  /** Made when it is needed: most files of a store are only read. */
  get #writer(): Writeback {
    this.#writeback ??= new Writeback(() => this.withFd((fd) => this.#deps.syncer.file(fd, this.#layout.size)));
    return this.#writeback;
  }
}
