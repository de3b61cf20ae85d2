import { ChunkSet, type ReadonlyChunkSet } from '../chunk-set.js';

/*
 * The sender's side of choosing. A receiver asks for chunks by number, or for "any n"; what it asked for by number comes
 * first. Of the others the sender picks, at the moment when it can send, one that it has sent to nobody yet; when there is
 * none it refuses, because others have them to give by now.
 * Pure: no sockets, no clock.
 */

/** Which chunks of one file have been sent to somebody, over all receivers. */
export class SentChunks {
  readonly #sent: ChunkSet;
  /** All before it have been sent. */
  #firstUnsent = 0;

  constructor(chunkCount: number) {
    this.#sent = new ChunkSet(chunkCount);
  }

  add(chunk: number): void {
    this.#sent.add(chunk);
    while (this.#firstUnsent < this.#sent.size && this.#sent.has(this.#firstUnsent)) this.#firstUnsent += 1;
  }

  /** The first chunk that was sent to nobody and for which `isEligible` holds. */
  firstUnsent(isEligible: (chunk: number) => boolean): number | undefined {
    for (let chunk = this.#firstUnsent; chunk < this.#sent.size; chunk += 1) {
      if (!this.#sent.has(chunk) && isEligible(chunk)) return chunk;
    }
    return undefined;
  }
}

/** What one receiver has asked for and not yet been sent. */
export class SendQueue {
  readonly #held: ReadonlyChunkSet;
  /** What the receiver has, or has been sent. */
  readonly #receiverHas: ChunkSet;
  readonly #sent: SentChunks;
  readonly #byNumber = new Set<number>();
  /** Chosen here and sent, and the receiver has not said that it has them. */
  readonly #chosen = new Set<number>();
  #any = 0;

  /** `held` is what this peer holds (live view); `receiverHas` is taken over. */
  constructor(held: ReadonlyChunkSet, receiverHas: ChunkSet, sent: SentChunks) {
    this.#held = held;
    this.#receiverHas = receiverHas;
    this.#sent = sent;
  }

  /** Returns the chunks that cannot be sent because they are not held. Numbers outside the file are among them. */
  want(chunks: readonly number[], any: number): number[] {
    this.#any = Math.min(this.#any + any, this.#held.size);
    const refused: number[] = [];
    for (const chunk of chunks) {
      if (!this.#held.has(chunk)) refused.push(chunk);
      // It is on its way and answers this request: what it was sent for is still owed.
      else if (this.#chosen.delete(chunk)) this.#any += 1;
      else this.#byNumber.add(chunk);
    }
    return refused;
  }

  cancel(chunks: readonly number[], any: number): void {
    for (const chunk of chunks) this.#byNumber.delete(chunk);
    this.#any = Math.max(0, this.#any - any);
  }

  receiverGot(chunks: readonly number[]): void {
    for (const chunk of chunks) {
      if (chunk >= this.#held.size) continue;
      this.#receiverHas.add(chunk);
      this.#chosen.delete(chunk);
    }
  }

  get receiverIsComplete(): boolean {
    return this.#receiverHas.isFull;
  }

  /** The next chunk to send; undefined when nothing is asked for that can be sent now. Counts as sent. */
  next(): number | undefined {
    const chunk = this.#nextByNumber() ?? this.#nextAny();
    if (chunk === undefined) return undefined;
    this.#sent.add(chunk);
    this.#receiverHas.add(chunk);
    return chunk;
  }

  /** A chunk that was to be sent could not be read. */
  notSent(chunk: number): void {
    this.#chosen.delete(chunk);
  }

  /** "Any" chunks that are asked for although all that the receiver lacks was sent to somebody: to be refused. */
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
    const chunk = this.#sent.firstUnsent((candidate) => this.#held.has(candidate) && !this.#receiverHas.has(candidate));
    if (chunk === undefined) return undefined;
    this.#any -= 1;
    this.#chosen.add(chunk);
    return chunk;
  }
}
