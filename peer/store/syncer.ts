import fs from 'node:fs';
import { promisify } from 'node:util';
import { Lane } from '../../common/lane.js';

const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);
const BULK_BYTES = 32 * 1024 * 1024;
// Who writes is held up while a sync maps its bytes to the disk; and the last one is of no more than this.
const WRITEBACK_BYTES = 16 * 1024 * 1024;

/**
 * Makes bytes and names survive a crash of the machine. A sync occupies one of the (by default four) threads on which
 * all file and DNS calls of the process run, so few are under way at once. Large files share one lane: small ones never
 * wait behind them.
 */
export class Syncer {
  readonly #small = new Lane(2);
  readonly #bulk = new Lane(1);
  readonly #queuedDirectories = new Map<string, Promise<void>>();

  /** Syncs the data of an open file of `size` bytes. */
  file(fd: number, size: number): Promise<void> {
    return (size > BULK_BYTES ? this.#bulk : this.#small).run(() => fdatasync(fd));
  }

  /** Syncs the names in a directory. Callers that come before it begins share one sync. */
  directory(path: string): Promise<void> {
    const queued = this.#queuedDirectories.get(path);
    if (queued !== undefined) return queued;
    const sync = this.#small.run(async () => {
      // From here on a new name may come too late for this sync.
      this.#queuedDirectories.delete(path);
      const fd = fs.openSync(path, 'r');
      try {
        await fsync(fd);
      } finally {
        fs.closeSync(fd);
      }
    });
    this.#queuedDirectories.set(path, sync);
    return sync;
  }
}

/** Syncs a file while it is being written, so that the disk works from the start and the sync at the end is short. */
export class Writeback {
  readonly #sync: () => Promise<void>;
  #unsyncedBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** `sync` makes durable what was written before it was called. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** To be told of bytes that were written. */
  wrote(bytes: number): void {
    this.#unsyncedBytes += bytes;
    if (this.#unsyncedBytes < WRITEBACK_BYTES || this.#running !== undefined) return;
    this.#unsyncedBytes = 0;
    this.#running = this.#sync()
      .catch((error: unknown) => {
        // Kept for finish(): the kernel reports a failed write once, the next sync may well say that all is fine.
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when all that was written is durable; rejects when any part could not be made so. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#unsyncedBytes = 0;
    await this.#sync();
  }

  /** Resolves when no sync is under way: the file may be closed. */
  async settle(): Promise<void> {
    await this.#running;
  }
}
