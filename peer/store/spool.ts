import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { removeIfThere, storageError } from './file-io.js';
import type { Reservation } from './space.js';
import type { StorePaths } from './store-paths.js';
import { type Syncer, Writeback } from './syncer.js';

/**
 * Bytes on their way into the store, under a temporary name in its file system. They become a file of the store by a
 * rename, or go with {@link close}.
 */
export class Spool {
  readonly path: string;
  readonly reservation: Reservation;
  readonly #file: FileHandle;
  readonly #writeback: Writeback;
  #isTaken = false;

  private constructor(path: string, file: FileHandle, reservation: Reservation, syncer: Syncer) {
    this.path = path;
    this.reservation = reservation;
    this.#file = file;
    this.#writeback = new Writeback(() => syncer.file(file.fd, reservation.bytes));
  }

  /** An empty one. The reservation is given back when that fails. */
  static async create(
    deps: { readonly paths: StorePaths; readonly syncer: Syncer },
    reservation: Reservation,
  ): Promise<Spool> {
    const path = deps.paths.newTemporary();
    try {
      return new Spool(path, await fs.promises.open(path, 'wx+', 0o600), reservation, deps.syncer);
    } catch (error) {
      reservation.release();
      throw storageError('writing to the store', error);
    }
  }

  get fd(): number {
    return this.#file.fd;
  }

  /** Gives it a size; what was not written is a hole. */
  async resize(size: number): Promise<void> {
    await this.#file.truncate(size);
  }

  /** To be told of bytes that were written. */
  wrote(bytes: number): void {
    this.reservation.land(bytes);
    this.#writeback.wrote(bytes);
  }

  /** Resolves when every byte is durable. */
  async sync(): Promise<void> {
    await this.#writeback.finish();
  }

  /** Tells that the file was renamed: it stays, and its reservation with it. */
  taken(): void {
    this.#isTaken = true;
  }

  /** Closes the file; unless it was taken it is deleted and its room given back. */
  async close(): Promise<void> {
    await this.#writeback.settle();
    await this.#file.close();
    if (this.#isTaken) return;
    this.reservation.release();
    await removeIfThere(this.path);
  }
}
