import type { ReadonlyChunkSet } from '../chunk-set.js';

/**
 * The chunks that a fetch still lacks, and how many neighbours hold each: a set with random access (an array whose
 * removed element is replaced by the last) and a histogram of holders, so that each change costs O(1).
 */
export class MissingChunks {
  readonly #random: () => number;
  readonly #order: Uint32Array;
  /** Place of a chunk in #order; >= count when it is not missing. */
  readonly #place: Uint32Array;
  readonly #holders: Uint16Array;
  /** How many missing chunks have so many holders. */
  readonly #histogram = new Map<number, number>();
  #count = 0;

  constructor(have: ReadonlyChunkSet, random: () => number) {
    this.#random = random;
    this.#order = new Uint32Array(have.size);
    this.#place = new Uint32Array(have.size).fill(0xffff_ffff);
    this.#holders = new Uint16Array(have.size);
    for (const chunk of have.missing()) {
      this.#order[this.#count] = chunk;
      this.#place[chunk] = this.#count;
      this.#count += 1;
    }
    this.#histogram.set(0, this.#count);
  }

  get count(): number {
    return this.#count;
  }

  /** Missing chunks with exactly one holder. */
  get singlyHeldCount(): number {
    return this.#histogram.get(1) ?? 0;
  }

  /** The fewest holders, at least one, that a missing chunk has. */
  get fewestHolders(): number {
    let fewest = Number.POSITIVE_INFINITY;
    for (const [holders, chunks] of this.#histogram) {
      if (chunks > 0 && holders > 0 && holders < fewest) fewest = holders;
    }
    return fewest;
  }

  has(chunk: number): boolean {
    const place = this.#place[chunk];
    return place !== undefined && place < this.#count;
  }

  holders(chunk: number): number {
    return this.#holders[chunk] ?? 0;
  }

  /** Whether `chunks` has one that is missing. */
  anyIn(chunks: ReadonlyChunkSet): boolean {
    for (let i = 0; i < this.#count; i += 1) if (chunks.has(this.#order[i] as number)) return true;
    return false;
  }

  heldByOneMore(chunk: number): void {
    this.#changeHolders(chunk, 1);
  }

  heldByOneLess(chunk: number): void {
    this.#changeHolders(chunk, -1);
  }

  /** Returns false when it was not missing. */
  remove(chunk: number): boolean {
    if (!this.has(chunk)) return false;
    const place = this.#place[chunk] as number;
    this.#count -= 1;
    const last = this.#order[this.#count] as number;
    this.#order[place] = last;
    this.#place[last] = place;
    this.#place[chunk] = 0xffff_ffff;
    this.#add(this.holders(chunk), -1);
    return true;
  }

  /** All missing chunks once, from a random place on. Nothing may be removed meanwhile. */
  *fromRandom(): Generator<number> {
    const start = Math.floor(this.#random() * this.#count);
    for (let i = 0; i < this.#count; i += 1) yield this.#order[(start + i) % this.#count] as number;
  }

  #changeHolders(chunk: number, by: 1 | -1): void {
    const before = this.holders(chunk);
    this.#holders[chunk] = before + by;
    if (!this.has(chunk)) return;
    this.#add(before, -1);
    this.#add(before + by, 1);
  }

  #add(holders: number, chunks: number): void {
    this.#histogram.set(holders, (this.#histogram.get(holders) ?? 0) + chunks);
  }
}
