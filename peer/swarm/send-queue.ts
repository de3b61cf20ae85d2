import type { ChunkSet, ReadonlyChunkSet } from '../chunk-set.js';

/*
 * The sender's side of choosing. A receiver asks for chunks by number, or for "any n"; what it asked for by number comes
 * first. Of the others the sender picks, at the moment when it can send, the one it has sent least often to anybody.
 * Pure: no sockets, no clock.
 */

/** Chunks looked at for one that was sent least; a larger file is looked at piece by piece. */
const SCAN_LIMIT = 8192;

/** How often each chunk of one file has been sent, over all receivers. */
export class SentCounts {
  readonly #sent: Uint16Array;
  /** No chunk has been sent less often than this, as far as is known. */
  #level = 0;
  #cursor = 0;

  constructor(chunkCount: number) {
    this.#sent = new Uint16Array(chunkCount);
  }

  of(chunk: number): number {
    return this.#sent[chunk] ?? 0;
  }

  add(chunk: number): void {
    const count = this.of(chunk);
    if (count < 0xffff) this.#sent[chunk] = count + 1;
  }

  /** The least sent chunk for which `isEligible` holds, in order of number among equals. */
  leastSent(isEligible: (chunk: number) => boolean): number | undefined {
    const total = this.#sent.length;
    let best: number | undefined;
    let seenAtLevel = false;
    for (let step = 0; step < total; step += 1) {
      if (step >= SCAN_LIMIT && best !== undefined) break;
      const chunk = (this.#cursor + step) % total;
      const count = this.of(chunk);
      seenAtLevel ||= count <= this.#level;
      if ((best !== undefined && count >= this.of(best)) || !isEligible(chunk)) continue;
      best = chunk;
      if (count <= this.#level) {
        this.#cursor = (chunk + 1) % total;
        return chunk;
      }
    }
    if (!seenAtLevel && best !== undefined) this.#level = this.of(best);
    return best;
  }
}

/** What one receiver has asked for and not yet been sent. */
export class SendQueue {
  readonly #held: ReadonlyChunkSet;
  /** What the receiver has, or has been sent. */
  readonly #receiverHas: ChunkSet;
  readonly #counts: SentCounts;
  readonly #byNumber = new Set<number>();
  #any = 0;

  /** `held` is what this peer holds (live view); `receiverHas` is taken over. */
  constructor(held: ReadonlyChunkSet, receiverHas: ChunkSet, counts: SentCounts) {
    this.#held = held;
    this.#receiverHas = receiverHas;
    this.#counts = counts;
  }

  /** Returns the chunks that cannot be sent because they are not held. Numbers outside the file are among them. */
  want(chunks: readonly number[], any: number): number[] {
    this.#any = Math.min(this.#any + any, this.#held.size);
    const refused: number[] = [];
    for (const chunk of chunks) {
      if (this.#held.has(chunk)) this.#byNumber.add(chunk);
      else refused.push(chunk);
    }
    return refused;
  }

  cancel(chunks: readonly number[], any: number): void {
    for (const chunk of chunks) this.#byNumber.delete(chunk);
    this.#any = Math.max(0, this.#any - any);
  }

  receiverGot(chunks: readonly number[]): void {
    for (const chunk of chunks) if (chunk < this.#held.size) this.#receiverHas.add(chunk);
  }

  get receiverIsComplete(): boolean {
    return this.#receiverHas.isFull;
  }

  /** The next chunk to send; undefined when nothing is asked for that can be sent now. Counts as sent. */
  next(): number | undefined {
    const chunk = this.#nextByNumber() ?? this.#nextAny();
    if (chunk === undefined) return undefined;
    this.#counts.add(chunk);
    this.#receiverHas.add(chunk);
    return chunk;
  }

  /** "Any" chunks that are asked for although the receiver has, or was sent, all that is held: to be refused. */
  takeUnservable(): number {
    const count = this.#any;
    this.#any = 0;
    return count;
  }

  #nextByNumber(): number | undefined {
    for (const chunk of this.#byNumber) {
      this.#byNumber.delete(chunk);
      return chunk;
    }
    return undefined;
  }

  #nextAny(): number | undefined {
    if (this.#any === 0) return undefined;
    const chunk = this.#counts.leastSent((candidate) => this.#held.has(candidate) && !this.#receiverHas.has(candidate));
    if (chunk !== undefined) this.#any -= 1;
    return chunk;
  }
}
