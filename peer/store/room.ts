/** How many bytes all who are entered in it have together, and how many of those are on the disk. Zero to begin with. */
export interface Account {
  bytes: number;
  landedBytes: number;
}

/** Room on the disk that somebody has, always entered in one account. Part of it is taken up already: has landed. */
export class Room {
  #account: Account;
  #bytes = 0;
  #landedBytes = 0;

  constructor(account: Account, bytes: number, landedBytes: number) {
    this.#account = account;
    this.#change(bytes, landedBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether some of it is on the disk. */
  protected get hasLanded(): boolean {
    return this.#landedBytes > 0;
  }

  /** Tells that so many more of the bytes, or all that are left, are on the disk now, and missing from its free space. */
  land(bytes: number): void {
    this.#change(0, Math.min(bytes, this.#bytes - this.#landedBytes));
  }

  /** Tells that all of it is on the disk now. */
  landAll(): void {
    this.land(this.#bytes);
  }

  /** Gives it back. Calling it again does nothing. */
  release(): void {
    this.#change(-this.#bytes, -this.#landedBytes);
  }

  /** Takes more; whoever calls knows that there is some. */
  protected take(bytes: number): void {
    this.#change(bytes, 0);
  }

  /** Enters all of it in another account instead. */
  protected moveTo(account: Account): void {
    const [bytes, landedBytes] = [this.#bytes, this.#landedBytes];
    this.#change(-bytes, -landedBytes);
    this.#account = account;
    this.#change(bytes, landedBytes);
  }

  #change(bytes: number, landedBytes: number): void {
    this.#bytes += bytes;
    this.#landedBytes += landedBytes;
    this.#account.bytes += bytes;
    this.#account.landedBytes += landedBytes;
  }
}
