import type { ReadonlyChunkSet } from '../chunk-set.js';

const NOWHERE = 0xffff_ffff;
/** Chunks looked at for the rarest of them. */
const SAMPLE = 16;

/**
 * The chunks that a fetch still lacks: how many neighbours hold each, of how many it has been asked, and those of which it
 * has been asked of nobody (the open ones) with random access: an array whose removed element is replaced by the last.
 * Each change costs O(1).
 */
export class MissingChunks {
  readonly #isMissing: Uint8Array;
  readonly #holders: Uint16Array;
  readonly #askers: Uint16Array;
  readonly #open: Uint32Array;
  /** Place of a chunk in #open. */
  readonly #place: Uint32Array;
  #openCount = 0;
  #askableCount = 0;
  #count = 0;
  #singlyHeld = 0;

  constructor(have: ReadonlyChunkSet) {
    this.#isMissing = new Uint8Array(have.size);
    this.#holders = new Uint16Array(have.size);
    this.#askers = new Uint16Array(have.size);
    this.#open = new Uint32Array(have.size);
    this.#place = new Uint32Array(have.size).fill(NOWHERE);
    for (const chunk of have.missing()) {
      this.#isMissing[chunk] = 1;
      this.#count += 1;
      this.#setOpen(chunk, true);
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Missing chunks that have been asked of nobody. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Missing chunks that have been asked of nobody, and that somebody holds. */
  get askableCount(): number {
    return this.#askableCount;
  }

  /** Missing chunks with exactly one holder. */
  get singlyHeldCount(): number {
    return this.#singlyHeld;
  }

  has(chunk: number): boolean {
    return this.#isMissing[chunk] === 1;
  }

  /** Whether it is missing and asked of nobody. */
  isOpen(chunk: number): boolean {
    return this.#place[chunk] !== NOWHERE && chunk < this.#place.length;
  }

  /** The open chunk at a place from 0 to below {@link openCount}; places change with every change. */
  openAt(place: number): number {
    return this.#open[place] as number;
  }

  holders(chunk: number): number {
    return this.#holders[chunk] ?? 0;
  }

  /** Of how many neighbours it has been asked. */
  askers(chunk: number): number {
    return this.#askers[chunk] ?? 0;
  }

  /** The rarest of some open chunks, from one picked by chance on; `random` is uniform in [0, 1). Undefined without any. */
  rarestOpen(random: () => number): number | undefined {
    const count = this.#openCount;
    const start = Math.floor(random() * count);
    let best: number | undefined;
    for (let looked = 0; looked < Math.min(SAMPLE, count); looked += 1) {
      const chunk = this.openAt((start + looked) % count);
      if (best === undefined || this.holders(chunk) < this.holders(best)) best = chunk;
    }
    return best;
  }

  /** {@link rarestOpen} of those in `offers`; takes those out of it that it finds not to be open any more. */
  rarestOffer(offers: number[], random: () => number): number | undefined {
    let place = Math.floor(random() * offers.length);
    let best: number | undefined;
    for (let looked = 0; looked < SAMPLE && looked < offers.length; ) {
      place = place < offers.length ? place : 0;
      const chunk = offers[place] as number;
      if (!this.isOpen(chunk)) {
        const last = offers.pop() as number;
        if (place < offers.length) offers[place] = last;
        continue;
      }
      if (best === undefined || this.holders(chunk) < this.holders(best)) best = chunk;
      looked += 1;
      place += 1;
    }
    return best;
  }

  heldByOneMore(chunk: number): void {
    this.#changeHolders(chunk, 1);
  }

  heldByOneLess(chunk: number): void {
    this.#changeHolders(chunk, -1);
  }

  askedOfOneMore(chunk: number): void {
    this.#askers[chunk] = this.askers(chunk) + 1;
    this.#setOpen(chunk, false);
  }

  /** Returns whether it is open again. */
  askedOfOneLess(chunk: number): boolean {
    const askers = this.askers(chunk) - 1;
    this.#askers[chunk] = askers;
    if (askers > 0 || !this.has(chunk)) return false;
    this.#setOpen(chunk, true);
    return true;
  }

  /** Returns false when it was not missing. */
  remove(chunk: number): boolean {
    if (!this.has(chunk)) return false;
    if (this.holders(chunk) === 1) this.#singlyHeld -= 1;
    this.#isMissing[chunk] = 0;
    this.#count -= 1;
    this.#setOpen(chunk, false);
    return true;
  }

  #changeHolders(chunk: number, by: 1 | -1): void {
    const before = this.holders(chunk);
    this.#holders[chunk] = before + by;
    if (!this.has(chunk)) return;
    if (this.isOpen(chunk) && (before === 0 || before + by === 0)) this.#askableCount += by;
    if (before === 1) this.#singlyHeld -= 1;
    if (before + by === 1) this.#singlyHeld += 1;
  }

  #setOpen(chunk: number, isOpen: boolean): void {
    if (this.isOpen(chunk) === isOpen) return;
    if (this.holders(chunk) > 0) this.#askableCount += isOpen ? 1 : -1;
    if (isOpen) {
      this.#open[this.#openCount] = chunk;
      this.#place[chunk] = this.#openCount;
      this.#openCount += 1;
      return;
    }
    const place = this.#place[chunk] as number;
    this.#openCount -= 1;
    const last = this.#open[this.#openCount] as number;
    this.#open[place] = last;
    this.#place[last] = place;
    this.#place[chunk] = NOWHERE;
  }
}
