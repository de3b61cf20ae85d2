import Database from 'libsql';
import { ShoalError } from '../../common/errors.js';

/** Held while a process uses a store. */
export interface StoreLock {
  release(): void;
}

/**
 * Takes the lock at `path`, which only one process can have. It is an exclusive transaction on an SQLite file without
 * content: Node has no flock of its own, SQLite takes a record lock that the kernel ends with the process, whatever
 * ended that, and that holds between containers, where process ids mean nothing. Throws `conflict` when it is taken.
 */
export function lockStore(path: string, dir: string): StoreLock {
  const database = new Database(path);
  try {
    // Nothing is ever written, so there is nothing to roll back after a crash.
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) throw cause;
    throw new ShoalError('conflict', `the store in ${dir} is used by another process`, {
      cause,
      hint: 'stop the other peer, or give this one its own SHOAL_DATA_DIR',
    });
  }
  return { release: () => database.close() };
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}
