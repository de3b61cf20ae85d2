import fs from 'node:fs';
import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { type Account, Room } from './room.js';

/** Room that was set aside for a file. */
export class Reservation extends Room {
  readonly #desk: ReservationDesk;
  readonly #what: string;

  /** Made by {@link Space} alone. */
  constructor(desk: ReservationDesk, what: string, { bytes, landedBytes }: Account) {
    super(desk.account, bytes, landedBytes);
    this.#desk = desk;
    this.#what = what;
  }

  /** Sets more aside; throws `exhausted` when there is none, and the reservation stays as it was. */
  async grow(bytes: number): Promise<void> {
    while (!this.#desk.demand(bytes, this.#what)) await this.#desk.reclaim();
    this.take(bytes);
  }

  override release(): void {
    const hadLanded = this.hasLanded;
    super.release();
    if (hadLanded) this.#desk.freed();
  }
}

/** Room that nobody needs at present, lent to what gives it back when a file needs it. */
export class Loan extends Room {
  readonly #desk: LoanDesk;

  /** Made by {@link Space} alone. */
  constructor(desk: LoanDesk, { bytes, landedBytes }: Account) {
    super(desk.account, bytes, landedBytes);
    this.#desk = desk;
  }

  /** Borrows more; false when there is none to be lent, and the loan stays as it was. */
  grow(bytes: number): boolean {
    if (!this.#desk.canLend(bytes)) return false;
    this.take(bytes);
    return true;
  }

  /** Tells that nobody should wait for it: from now on, until it is given back, it counts as used. */
  keep(): void {
    this.moveTo(this.#desk.used);
  }
}

interface ReservationDesk {
  readonly account: Account;
  demand(bytes: number, what: string): boolean;
  reclaim(): Promise<void>;
  freed(): void;
}

interface LoanDesk {
  readonly account: Account;
  readonly used: Account;
  canLend(bytes: number): boolean;
}

/** What a {@link Space} works with. */
export interface SpaceDeps {
  readonly log: Logger;
  readonly diskFreeBytes: () => number;
  /** Has everything that was lent given back, or kept; nothing is lent meanwhile. */
  readonly reclaim: () => Promise<void>;
  /** Told when something that was on the disk has given its room back. */
  readonly freed: () => void;
}

/**
 * Who gets the room that is left. A decision and its entry in the books are one synchronous step, so two can never be
 * promised the same bytes. What is left may be lent until a file needs it.
 */
export class Space {
  readonly #deps: SpaceDeps;
  readonly #quotaBytes: number;
  readonly #reserveBytes: number;
  /** Of all files, whole or not, of those on their way in, and of loans that are kept. */
  readonly #used: Account = { bytes: 0, landedBytes: 0 };
  readonly #lent: Account = { bytes: 0, landedBytes: 0 };
  /** Who waits for what was lent. */
  #reclaiming = 0;
  #isFull = false;
  readonly #reservationDesk: ReservationDesk = {
    account: this.#used,
    demand: (bytes, what) => this.#demand(bytes, what),
    reclaim: () => this.#reclaim(),
    freed: () => this.#deps.freed(),
  };
  readonly #loanDesk: LoanDesk = {
    account: this.#lent,
    used: this.#used,
    canLend: (bytes) => bytes <= this.lendableBytes,
  };

  /** `quotaBytes` 0 means no quota; `reserveBytes` of the disk are left to others. */
  constructor(deps: SpaceDeps, options: { readonly quotaBytes: number; readonly reserveBytes: number }) {
    this.#deps = deps;
    this.#quotaBytes = options.quotaBytes;
    this.#reserveBytes = options.reserveBytes;
  }

  /** Bytes of all files, whole or not, and of those on their way in. */
  get usedBytes(): number {
    return this.#used.bytes;
  }

  /** Bytes that can still be reserved, lent or not: what is left of the quota or of the disk, whichever is less. */
  get freeBytes(): number {
    return Math.max(0, Math.min(this.#quotaLeft, this.#diskLeft));
  }

  /** Bytes that can still be lent. */
  get lendableBytes(): number {
    return this.#reclaiming > 0 ? 0 : Math.max(0, this.freeBytes - this.#lent.bytes);
  }

  /** Sets room aside for something, named in the error. Throws `exhausted` when there is not enough. */
  async reserve(bytes: number, what: string): Promise<Reservation> {
    const reservation = new Reservation(this.#reservationDesk, what, { bytes: 0, landedBytes: 0 });
    await reservation.grow(bytes);
    return reservation;
  }

  /** Enters a file that is here already, even beyond the quota; `landedBytes` of it are on the disk. */
  adopt(bytes: number, landedBytes: number, what: string): Reservation {
    return new Reservation(this.#reservationDesk, what, { bytes, landedBytes });
  }

  /** Lends some room; undefined when there is not enough that nobody needs. */
  lend(bytes: number): Loan | undefined {
    return this.#loanDesk.canLend(bytes) ? new Loan(this.#loanDesk, { bytes, landedBytes: 0 }) : undefined;
  }

  /** Enters what is on the disk already and will go, even beyond the quota. */
  adoptLoan(bytes: number): Loan {
    return new Loan(this.#loanDesk, { bytes, landedBytes: bytes });
  }

  get #quotaLeft(): number {
    return this.#quotaBytes === 0 ? Number.POSITIVE_INFINITY : this.#quotaBytes - this.#used.bytes;
  }

  get #diskLeft(): number {
    const promisedBytes = this.#used.bytes - this.#used.landedBytes;
    return this.#deps.diskFreeBytes() + this.#lent.landedBytes - this.#reserveBytes - promisedBytes;
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
      return bytes === 0 || bytes <= freeBytes - this.#lent.bytes;
    }
    const isQuota = this.#quotaLeft <= this.#diskLeft;
    const limit = isQuota
      ? `of the quota of ${formatBytes(this.#quotaBytes)}, of which ${formatBytes(this.#used.bytes)} are used`
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
