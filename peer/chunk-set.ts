import { ShoalError } from '../common/errors.js';

/** A {@link ChunkSet} that its owner changes and others only read. */
export interface ReadonlyChunkSet extends Iterable<number> {
  /** How many chunks the file has; members are below it. */
  readonly size: number;
  /** How many chunks are in the set. */
  readonly count: number;
  /** Whether every chunk of the file is in it; true for a file without chunks. */
  readonly isFull: boolean;
  /** Whether a chunk is in it; false for a number that is no chunk of the file. */
  has(index: number): boolean;
  /** The chunks that are not in it, ascending. */
  missing(): IterableIterator<number>;
  /** Chunk i as bit i % 8, least significant first, of byte i / 8. */
  toBytes(): Buffer;
}

/** Which chunks of a file: a bitmap, iterated in ascending order. */
export class ChunkSet implements ReadonlyChunkSet {
  readonly size: number;
  /** Undefined while every chunk is in it: a peer holds many whole files, and their sets hardly ever change. */
  #bits: Uint8Array | undefined;
  #count = 0;

  /** The empty set of a file with `size` chunks. */
  constructor(size: number) {
    this.size = size;
    if (size > 0) this.#bits = new Uint8Array(Math.ceil(size / 8));
  }

  /** The set of all chunks of a file with `size` chunks. */
  static full(size: number): ChunkSet {
    const set = new ChunkSet(size);
    set.#bits = undefined;
    set.#count = size;
    return set;
  }

  /**
   * Reads the form of {@link toBytes}; zero bytes at the end may be missing. Throws `invalid` when it is longer than a
   * file of `size` chunks needs, or names chunks that such a file has not.
   */
  static fromBytes(bytes: Uint8Array, size: number): ChunkSet {
    const set = new ChunkSet(size);
    const length = Math.ceil(size / 8);
    if (bytes.length > length) {
      throw new ShoalError('invalid', `a chunk set of ${bytes.length} bytes is too long for ${size} chunks`);
    }
    const spare = size % 8;
    const last = bytes.length === length ? (bytes.at(-1) ?? 0) : 0;
    if (spare !== 0 && last >> spare !== 0) {
      throw new ShoalError('invalid', `a chunk set names chunks beyond the ${size} of the file`);
    }
    set.#bits?.set(bytes);
    for (const byte of bytes) set.#count += bitCount(byte);
    if (set.isFull) set.#bits = undefined;
    return set;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.size;
  }

  has(index: number): boolean {
    return this.#isChunk(index) && (this.#byte(index >>> 3) & (1 << (index & 7))) !== 0;
  }

  /** Puts a chunk in; false when it was in already. Throws `invalid` for a number that is no chunk of the file. */
  add(index: number): boolean {
    this.#check(index);
    if (this.has(index) || this.#bits === undefined) return false;
    this.#bits[index >>> 3] = this.#byte(index >>> 3) | (1 << (index & 7));
    this.#count += 1;
    if (this.isFull) this.#bits = undefined;
    return true;
  }

  /** Takes a chunk out; false when it was not in. */
  delete(index: number): boolean {
    if (!this.has(index)) return false;
    this.#bits ??= fullBits(this.size);
    this.#bits[index >>> 3] = this.#byte(index >>> 3) & ~(1 << (index & 7));
    this.#count -= 1;
    return true;
  }

  toBytes(): Buffer {
    return Buffer.from(this.#bits ?? fullBits(this.size));
  }

  *[Symbol.iterator](): IterableIterator<number> {
    yield* this.#scan(0);
  }

  *missing(): IterableIterator<number> {
    yield* this.#scan(0xff);
  }

  /** The chunks whose bit differs from that of `uninteresting`, whole bytes of which are skipped at once. */
  *#scan(uninteresting: 0 | 0xff): IterableIterator<number> {
    for (let at = 0; at * 8 < this.size; at += 1) {
      // Read anew for each bit: a consumer may change the set between two of them.
      for (let bit = 0; bit < 8 && this.#byte(at) !== uninteresting; bit += 1) {
        const index = at * 8 + bit;
        if (index < this.size && this.has(index) === (uninteresting === 0)) yield index;
      }
    }
  }

  /** Of a full set the bits beyond the last chunk are not looked at. */
  #byte(at: number): number {
    return this.#bits === undefined ? 0xff : (this.#bits[at] ?? 0);
  }

  #isChunk(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < this.size;
  }

  #check(index: number): void {
    if (!this.#isChunk(index)) {
      throw new ShoalError('invalid', `there is no chunk ${index} in a file of ${this.size} chunks`);
    }
  }
}

function fullBits(size: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(size / 8)).fill(0xff);
  const spare = size % 8;
  if (spare !== 0) bits[bits.length - 1] = (1 << spare) - 1;
  return bits;
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
