import fs from 'node:fs';
import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';

/** Room that was set aside for a file. */
export class Reservation {
  readonly #books: Books;
  readonly #what: string;
  #bytes: number;
  #landedBytes: number;

  /** Made by {@link Space} alone. */
  constructor(books: Books, what: string, bytes: number, landedBytes: number) {
    this.#books = books;
    this.#what = what;
    this.#bytes = bytes;
    this.#landedBytes = landedBytes;
    books.change(bytes, landedBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Sets more aside; throws `exhausted` when there is none, and the reservation stays as it was. */
  grow(bytes: number): void {
    this.#books.demand(bytes, this.#what);
    this.#books.change(bytes, 0);
    this.#bytes += bytes;
  }

  /** Tells that so many of the bytes are on the disk now, and thus missing from its free space already. */
  land(bytes: number): void {
    const landing = Math.min(bytes, this.#bytes - this.#landedBytes);
    this.#books.change(0, landing);
    this.#landedBytes += landing;
  }

  /** Gives it back. Calling it again does nothing. */
  release(): void {
    this.#books.change(-this.#bytes, -this.#landedBytes);
    this.#bytes = 0;
    this.#landedBytes = 0;
  }
}

interface Books {
  demand(bytes: number, what: string): void;
  change(bytes: number, landedBytes: number): void;
}

/**
 * Who gets the room that is left. A decision and its entry in the books are one synchronous step, so two can never be
 * promised the same bytes.
 */
export class Space {
  readonly #log: Logger;
  readonly #diskFreeBytes: () => number;
  readonly #quotaBytes: number;
  readonly #reserveBytes: number;
  #usedBytes = 0;
  #landedBytes = 0;
  #isFull = false;
  readonly #books: Books = {
    demand: (bytes, what) => this.#demand(bytes, what),
    change: (bytes, landedBytes) => {
      this.#usedBytes += bytes;
      this.#landedBytes += landedBytes;
    },
  };

  /** `quotaBytes` 0 means no quota; `reserveBytes` of the disk are left to others. */
  constructor(
    deps: { readonly log: Logger; readonly diskFreeBytes: () => number },
    options: { readonly quotaBytes: number; readonly reserveBytes: number },
  ) {
    this.#log = deps.log;
    this.#diskFreeBytes = deps.diskFreeBytes;
    this.#quotaBytes = options.quotaBytes;
    this.#reserveBytes = options.reserveBytes;
  }

  /** Bytes of all files, whole or not, and of those on their way in. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes that can still be reserved: what is left of the quota or of the disk, whichever is less. */
  get freeBytes(): number {
    return Math.max(0, Math.min(this.#quotaLeft, this.#diskLeft));
  }

  /** Sets room aside for something, named in the error. Throws `exhausted` when there is not enough. */
  reserve(bytes: number, what: string): Reservation {
    this.#demand(bytes, what);
    return new Reservation(this.#books, what, bytes, 0);
  }

  /** Enters a file that is here already, even beyond the quota; `landedBytes` of it are on the disk. */
  adopt(bytes: number, landedBytes: number, what: string): Reservation {
    return new Reservation(this.#books, what, bytes, landedBytes);
  }

  get #quotaLeft(): number {
    return this.#quotaBytes === 0 ? Number.POSITIVE_INFINITY : this.#quotaBytes - this.#usedBytes;
  }

  get #diskLeft(): number {
    const promisedBytes = this.#usedBytes - this.#landedBytes;
    return this.#diskFreeBytes() - this.#reserveBytes - promisedBytes;
  }

  #demand(bytes: number, what: string): void {
    const { freeBytes } = this;
    if (bytes <= freeBytes) {
      this.#isFull = false;
      return;
    }
    const isQuota = this.#quotaLeft <= this.#diskLeft;
    const limit = isQuota
      ? `of the quota of ${formatBytes(this.#quotaBytes)}, of which ${formatBytes(this.#usedBytes)} are used`
      : `on the disk, of which ${formatBytes(this.#reserveBytes)} stay reserved`;
    const error = new ShoalError(
      'exhausted',
      `${what} needs ${formatBytes(bytes)}, but only ${formatBytes(freeBytes)} are left ${limit}`,
      {
        hint: isQuota
          ? 'remove files with: shoal rm REF, or raise SHOAL_QUOTA_BYTES'
          : 'remove files with: shoal rm REF, or give the peer a larger disk',
        details: { needBytes: bytes, freeBytes, quotaBytes: this.#quotaBytes },
      },
    );
    // Whoever asked is told each time, whoever runs this peer once for each time that it is full.
    if (!this.#isFull) this.#log.warn({ error }, 'there is no room for a file; others are taken as long as they fit');
    this.#isFull = true;
    throw error;
  }
}

/** Bytes that unprivileged processes may still write to the file system of `path`. */
export function diskFreeBytes(path: string): number {
  const stats = fs.statfsSync(path);
  return stats.bavail * stats.bsize;
}

function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${units[unit]}`;
}
