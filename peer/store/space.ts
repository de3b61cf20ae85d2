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
  async grow(bytes: number): Promise<void> {
    while (!this.#books.demand(bytes, this.#what)) await this.#books.reclaim();
    this.#books.change(bytes, 0);
    this.#bytes += bytes;
  }

  /** Tells that so many of the bytes are on the disk now, and thus missing from its free space already. */
  land(bytes: number): void {
    const landing = Math.min(bytes, this.#bytes - this.#landedBytes);
    this.#books.change(0, landing);
    this.#landedBytes += landing;
  }

  /** Tells that all of it is on the disk now. */
  landAll(): void {
    this.land(this.#bytes);
  }

  /** Gives it back. Calling it again does nothing. */
  release(): void {
    this.#books.change(-this.#bytes, -this.#landedBytes);
    this.#bytes = 0;
    this.#landedBytes = 0;
  }
}

/** Room that nobody needs at present, lent to what gives it back when a file needs it. */
export class Loan {
  readonly #books: LoanBooks;
  #bytes = 0;
  #landedBytes = 0;

  /** Made by {@link Space} alone. */
  constructor(books: LoanBooks, bytes: number, landedBytes: number) {
    this.#books = books;
    this.#change(bytes, landedBytes);
  }

  /** Borrows more; false when there is none to be lent, and the loan stays as it was. */
  grow(bytes: number): boolean {
    if (!this.#books.canLend(bytes)) return false;
    this.#change(bytes, 0);
    return true;
  }

  /** Tells that all of it is on the disk now. */
  landAll(): void {
    this.#change(0, this.#bytes - this.#landedBytes);
  }

  /** Gives it back. Calling it again does nothing. */
  release(): void {
    this.#change(-this.#bytes, -this.#landedBytes);
  }

  /** Tells that it will not be given back: from now on it counts as used. */
  keep(): void {
    const [bytes, landedBytes] = [this.#bytes, this.#landedBytes];
    this.release();
    this.#books.use(bytes, landedBytes);
  }

  #change(bytes: number, landedBytes: number): void {
    this.#bytes += bytes;
    this.#landedBytes += landedBytes;
    this.#books.change(bytes, landedBytes);
  }
}

interface Books {
  demand(bytes: number, what: string): boolean;
  reclaim(): Promise<void>;
  change(bytes: number, landedBytes: number): void;
}

interface LoanBooks {
  canLend(bytes: number): boolean;
  change(bytes: number, landedBytes: number): void;
  use(bytes: number, landedBytes: number): void;
}

/** What a {@link Space} works with. */
export interface SpaceDeps {
  readonly log: Logger;
  readonly diskFreeBytes: () => number;
  /** Has everything that was lent given back, or kept; nothing is lent meanwhile. */
  readonly reclaim: () => Promise<void>;
}

/**
 * Who gets the room that is left. A decision and its entry in the books are one synchronous step, so two can never be
 * promised the same bytes. What is left may be lent until a file needs it.
 */
export class Space {
  readonly #deps: SpaceDeps;
  readonly #quotaBytes: number;
  readonly #reserveBytes: number;
  #usedBytes = 0;
  #landedBytes = 0;
  #lentBytes = 0;
  #lentLandedBytes = 0;
  /** Who waits for what was lent. */
  #reclaiming = 0;
  #isFull = false;
  readonly #books: Books = {
    demand: (bytes, what) => this.#demand(bytes, what),
    reclaim: () => this.#reclaim(),
    change: (bytes, landedBytes) => {
      this.#usedBytes += bytes;
      this.#landedBytes += landedBytes;
    },
  };
  readonly #loans: LoanBooks = {
    canLend: (bytes) => bytes <= this.lendableBytes,
    change: (bytes, landedBytes) => {
      this.#lentBytes += bytes;
      this.#lentLandedBytes += landedBytes;
    },
    use: (bytes, landedBytes) => this.#books.change(bytes, landedBytes),
  };

  /** `quotaBytes` 0 means no quota; `reserveBytes` of the disk are left to others. */
  constructor(deps: SpaceDeps, options: { readonly quotaBytes: number; readonly reserveBytes: number }) {
    this.#deps = deps;
    this.#quotaBytes = options.quotaBytes;
    this.#reserveBytes = options.reserveBytes;
  }

  /** Bytes of all files, whole or not, and of those on their way in. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes that can still be reserved, lent or not: what is left of the quota or of the disk, whichever is less. */
  get freeBytes(): number {
    return Math.max(0, Math.min(this.#quotaLeft, this.#diskLeft));
  }

  /** Bytes that can still be lent. */
  get lendableBytes(): number {
    return this.#reclaiming > 0 ? 0 : Math.max(0, this.freeBytes - this.#lentBytes);
  }

  /** Sets room aside for something, named in the error. Throws `exhausted` when there is not enough. */
  async reserve(bytes: number, what: string): Promise<Reservation> {
    const reservation = new Reservation(this.#books, what, 0, 0);
    await reservation.grow(bytes);
    return reservation;
  }

  /** Enters a file that is here already, even beyond the quota; `landedBytes` of it are on the disk. */
  adopt(bytes: number, landedBytes: number, what: string): Reservation {
    return new Reservation(this.#books, what, bytes, landedBytes);
  }

  /** Lends some room; undefined when there is not enough that nobody needs. */
  lend(bytes: number): Loan | undefined {
    return this.#loans.canLend(bytes) ? new Loan(this.#loans, bytes, 0) : undefined;
  }

  /** Enters what is on the disk already and will go, even beyond the quota. */
  adoptLoan(bytes: number): Loan {
    return new Loan(this.#loans, bytes, bytes);
  }

  get #quotaLeft(): number {
    return this.#quotaBytes === 0 ? Number.POSITIVE_INFINITY : this.#quotaBytes - this.#usedBytes;
  }

  get #diskLeft(): number {
    const promisedBytes = this.#usedBytes - this.#landedBytes;
    return this.#deps.diskFreeBytes() + this.#lentLandedBytes - this.#reserveBytes - promisedBytes;
  }

  async #reclaim(): Promise<void> {
    this.#reclaiming += 1;
    try {
      await this.#deps.reclaim();
    } finally {
      this.#reclaiming -= 1;
    }
  }

  /** Whether it can be had now; if not, it can when nothing is lent any more. Throws `exhausted` when it cannot. */
  #demand(bytes: number, what: string): boolean {
    const { freeBytes } = this;
    if (bytes <= freeBytes) {
      this.#isFull = false;
      return bytes === 0 || bytes <= freeBytes - this.#lentBytes;
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
    if (!this.#isFull) {
      this.#deps.log.warn({ error }, 'there is no room for a file; others are taken as long as they fit');
    }
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
