import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ShoalError } from '../../common/errors.js';

/** The file calls that {@link LogSync} makes. */
export interface SyncFile {
  datasync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Syncs one file to the disk, as seldom as it can: calls that come while a sync runs share the next one. (Not the one
 * that runs: it may have passed what they wrote.)
 */
export class LogSync {
  readonly #path: string;
  readonly #openFile: (path: string) => Promise<SyncFile>;
  #file: SyncFile | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(path: string, openFile: (path: string) => Promise<SyncFile> = openExisting) {
    this.#path = path;
    this.#openFile = openFile;
  }

  /** Opens the file, which must exist, and makes sure of its entry in the folder. */
  async open(): Promise<void> {
    this.#file = await this.#openFile(this.#path);
  }

  /** Resolves when all that was written before the call is on the disk. Throws `unavailable` when that failed. */
  async sync(): Promise<void> {
    this.#next ??= this.#syncAfter(this.#running);
    return this.#next;
  }

  /** Finishes the syncs that were asked for, and closes. */
  async close(): Promise<void> {
    // Their failures are told to those who asked.
    await Promise.allSettled([this.#running, this.#next]);
    await this.#file?.close();
    this.#file = undefined;
  }

  async #syncAfter(running: Promise<void> | undefined): Promise<void> {
    await Promise.allSettled([running]);
    this.#running = this.#next;
    this.#next = undefined;
    if (this.#file === undefined) throw new ShoalError('unavailable', 'the store is closed');
    try {
      await this.#file.datasync();
    } catch (error) {
      throw new ShoalError('unavailable', `${this.#path} could not be written to the disk`, { cause: error });
    }
  }
}

async function openExisting(path: string): Promise<FileHandle> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return open(path, 'r+');
}
