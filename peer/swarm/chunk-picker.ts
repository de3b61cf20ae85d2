import type { ChunkSet, ReadonlyChunkSet } from '../chunk-set.js';
import { MissingChunks } from './missing-chunks.js';
import { Neighbour } from './neighbour.js';
import { TakeOvers } from './take-overs.js';

/*
 * Decides which chunk to ask of whom. Events go in (a neighbour joined or left, has a chunk; bytes came; a chunk arrived
 * or failed), decisions come out of `decide`. No promises, sockets, clocks or global randomness: time comes in as
 * milliseconds of any steady clock, chance as a function, so the same code runs in the simulator.
 *
 * - From the only neighbour that has everything, we ask for "any n" chunks as long as there are chunks that nobody else
 *   has: it chooses at the last moment, and so sends each chunk once before it sends any twice. When it has sent
 *   everything once it says so, and is spared: the others will have what is missing. Only when nothing comes any more
 *   is it asked again, by number.
 * - From everybody else we ask for chunks by number: wanted ones first, then the rarest of some picked by chance.
 * - A chunk is asked of one neighbour. When all are asked for, who has nothing left to be asked takes over from others:
 *   see take-overs.ts.
 */

/** Settings of a picker. */
export interface ChunkPickerOptions {
  readonly chunkBytes: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Bytes asked of one neighbour and not yet here, at the most. */
  readonly maxWindowBytes: number;
  /** How long a window should last at the neighbour's rate, in milliseconds. */
  readonly windowMs: number;
  /** Chunks asked of one neighbour at the least; until its rate is known, one more for each that has come. */
  readonly minWindowChunks: number;
  /** A neighbour that owes us something and has sent nothing for so long may be helped by others, in milliseconds. */
  readonly stallMs: number;
  /** A spared neighbour is asked again when nothing has come from anybody for so long, in milliseconds. */
  readonly spareMs: number;
  /** How many chunks may come twice because they were taken over; a hundredth of a large file's, if that is more. */
  readonly endGameChunks: number;
}

/** What to tell a neighbour: ask for these chunks and for `any` more, or take as many back. */
export interface Decision {
  readonly kind: 'want' | 'cancel';
  readonly neighbour: string;
  readonly chunks: readonly number[];
  readonly any: number;
}

/** What became of a chunk that came in. */
export type Arrival = 'new' | 'duplicate';

/** The pure heart of a fetch. One picker serves one file. */
export class ChunkPicker {
  readonly #options: ChunkPickerOptions;
  readonly #missing: MissingChunks;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #wanted = new Set<number>();
  readonly #takeOvers: TakeOvers;
  /** What is decided and not told yet. */
  #decisions: Decision[] = [];
  /** When a chunk last came. */
  #lastNewMs = Number.NEGATIVE_INFINITY;
  #isNew = false;

  /** `have` tells what is here already; it is copied. */
  constructor(have: ReadonlyChunkSet, options: ChunkPickerOptions) {
    this.#options = options;
    this.#missing = new MissingChunks(have);
    this.#takeOvers = new TakeOvers(
      {
        missing: this.#missing,
        neighbours: this.#neighbours,
        takeBack: (from, chunk) => this.#takeBack(from, chunk),
      },
      { ...options, chunkCount: have.size },
    );
  }

  /** Chunks that are not here yet. */
  get missingCount(): number {
    return this.#missing.count;
  }

  get isComplete(): boolean {
    return this.#missing.count === 0;
  }

  /** Whether some neighbour has a chunk that is missing here. */
  get canProgress(): boolean {
    for (const neighbour of this.#neighbours.values()) if (neighbour.usefulCount > 0) return true;
    return false;
  }

  /** A neighbour that will serve us, with what it has now. `have` is taken over. A name may join once. */
  join(name: string, have: ChunkSet, nowMs: number): void {
    const neighbour = new Neighbour(name, have, nowMs);
    this.#neighbours.set(name, neighbour);
    for (const chunk of have) this.#offered(neighbour, chunk);
  }

  /** It is gone; what was asked of it may be asked of others. */
  leave(name: string): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    this.#neighbours.delete(name);
    for (const chunk of neighbour.have) this.#missing.heldByOneLess(chunk);
    for (const chunk of neighbour.asked.keys()) this.#takenBack(chunk);
  }

  /** A neighbour has got these chunks. */
  has(name: string, chunks: Iterable<number>): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    for (const chunk of chunks) if (neighbour.have.add(chunk)) this.#offered(neighbour, chunk);
    if (neighbour.have.isFull) neighbour.offers.length = 0;
  }

  /** Bytes of some chunk came from a neighbour. */
  received(name: string, bytes: number, nowMs: number): void {
    this.#neighbours.get(name)?.received(bytes, nowMs);
  }

  /** A chunk is verified and here, from this neighbour, or from elsewhere when `name` is undefined. */
  arrived(name: string | undefined, chunk: number): Arrival {
    const isNew = this.#missing.remove(chunk);
    if (name !== undefined) this.#answered(this.#neighbours.get(name), chunk);
    this.#wanted.delete(chunk);
    if (!isNew) {
      this.#takeOvers.cameAgain();
      return 'duplicate';
    }
    this.#takeOvers.came(chunk);
    this.#isNew = true;
    for (const other of this.#neighbours.values()) {
      if (other.have.has(chunk)) other.usefulCount -= 1;
      if (other.asked.has(chunk)) this.#takeBack(other, chunk);
    }
    return 'new';
  }

  /** A neighbour will not send a chunk it was asked for: it does not have it after all. */
  refused(name: string, chunk: number): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    const wasFull = neighbour.have.isFull;
    if (neighbour.have.delete(chunk)) {
      this.#missing.heldByOneLess(chunk);
      if (this.#missing.has(chunk)) neighbour.usefulCount -= 1;
      if (wasFull) this.#listOffers(neighbour);
    }
    this.#answered(neighbour, chunk);
  }

  /** A neighbour will not send so many of its "any" chunks: from now on it is asked by number, if at all. */
  refusedAny(name: string, count: number): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    neighbour.anyAsked = Math.max(0, neighbour.anyAsked - count);
    if (!neighbour.refusesAny) neighbour.isSpared = true;
    neighbour.refusesAny = true;
  }

  /** These are wanted before all others, in this order: somebody is waiting to read them. Replaces the earlier wish. */
  prioritise(chunks: Iterable<number>): void {
    this.#wanted.clear();
    for (const chunk of chunks) if (this.#missing.has(chunk)) this.#wanted.add(chunk);
  }

  /** What to ask and to take back now. Counts as asked when it is returned. */
  decide(nowMs: number): Decision[] {
    if (this.#isNew || this.#lastNewMs === Number.NEGATIVE_INFINITY) this.#lastNewMs = nowMs;
    this.#isNew = false;
    if (this.#missing.count > 0) this.#askAll(nowMs);
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }

  /**
   * When `decide` should be called again although nothing happened: the next moment at which a neighbour may count as
   * stalled, or is spared no longer.
   */
  nextDeadlineMs(): number | undefined {
    const { stallMs, spareMs } = this.#options;
    let earliest: number | undefined;
    for (const neighbour of this.#neighbours.values()) {
      const deadlines = [
        neighbour.outstanding > 0 && !neighbour.isHelped ? neighbour.lastHeardMs + stallMs : undefined,
        neighbour.isSpared ? this.#lastNewMs + spareMs : undefined,
      ];
      for (const deadline of deadlines) {
        if (deadline !== undefined && (earliest === undefined || deadline < earliest)) earliest = deadline;
      }
    }
    return earliest;
  }

  /** Neighbours that owe us something and have sent nothing since `nowMs - silentMs`. */
  silent(nowMs: number, silentMs: number): string[] {
    return [...this.#neighbours.values()]
      .filter((neighbour) => neighbour.outstanding > 0 && nowMs - neighbour.lastHeardMs >= silentMs)
      .map((neighbour) => neighbour.name);
  }

  // --- Bookkeeping --------------------------------------------------------------------------------------------------

  #offered(neighbour: Neighbour, chunk: number): void {
    this.#missing.heldByOneMore(chunk);
    if (!this.#missing.has(chunk)) return;
    neighbour.usefulCount += 1;
    if (!neighbour.have.isFull && this.#missing.isOpen(chunk)) neighbour.offers.push(chunk);
  }

  /** For one that does not have everything after all. */
  #listOffers(neighbour: Neighbour): void {
    for (let place = 0; place < this.#missing.openCount; place += 1) {
      const chunk = this.#missing.openAt(place);
      if (neighbour.have.has(chunk)) neighbour.offers.push(chunk);
    }
  }

  #ask(neighbour: Neighbour, chunk: number, nowMs: number): void {
    neighbour.ask(chunk, nowMs);
    this.#missing.askedOfOneMore(chunk);
  }

  /** A neighbour owes us a chunk no longer, and is to be told so. */
  #takeBack(from: Neighbour, chunk: number): void {
    from.asked.delete(chunk);
    this.#missing.askedOfOneLess(chunk);
    this.#decisions.push({ kind: 'cancel', neighbour: from.name, chunks: [chunk], any: 0 });
  }

  /** A chunk that was asked of somebody is not any more: when it is open again, all who have it may be asked. */
  #takenBack(chunk: number): void {
    if (!this.#missing.askedOfOneLess(chunk)) return;
    for (const neighbour of this.#neighbours.values()) {
      if (!neighbour.have.isFull && neighbour.have.has(chunk)) neighbour.offers.push(chunk);
    }
  }

  #answered(neighbour: Neighbour | undefined, chunk: number): void {
    if (neighbour?.answered(chunk) === 'by number') this.#takenBack(chunk);
  }

  // --- Choosing -----------------------------------------------------------------------------------------------------

  #askAll(nowMs: number): void {
    const sole = this.#soleComplete();
    for (const neighbour of this.#neighbours.values()) {
      this.#trimAny(neighbour, sole);
      this.#fill(neighbour, neighbour === sole, nowMs);
    }
  }

  /** The only neighbour that has everything, if there is exactly one: two would both choose the same chunks for us. */
  #soleComplete(): Neighbour | undefined {
    let sole: Neighbour | undefined;
    for (const neighbour of this.#neighbours.values()) {
      if (!neighbour.have.isFull) continue;
      if (sole !== undefined) return undefined;
      sole = neighbour;
    }
    return sole?.refusesAny === true ? undefined : sole;
  }

  /** Takes "any" chunks back from who is no longer to choose, or when others have announced most of what it could send. */
  #trimAny(neighbour: Neighbour, sole: Neighbour | undefined): void {
    const allowed = neighbour === sole ? this.#missing.singlyHeldCount : 0;
    const excess = neighbour.anyAsked - allowed;
    if (excess <= 0) return;
    neighbour.anyAsked = allowed;
    this.#decisions.push({ kind: 'cancel', neighbour: neighbour.name, chunks: [], any: excess });
  }

  /** Asks a neighbour for as much as its window has room for. */
  #fill(neighbour: Neighbour, isSole: boolean, nowMs: number): void {
    const chunks: number[] = [];
    let any = 0;
    const window = this.#windowChunks(neighbour);
    let room = window - neighbour.outstanding;
    // A message for each chunk would cost more than the chunk: a quarter of the window is asked for at a time.
    if (room < window / 4 && this.#wanted.size === 0) return;
    const ask = (chunk: number) => {
      this.#ask(neighbour, chunk, nowMs);
      chunks.push(chunk);
      room -= 1;
    };
    for (const chunk of this.#wanted) {
      if (room <= 0) break;
      if (neighbour.have.has(chunk) && this.#isFree(chunk, nowMs)) ask(chunk);
    }
    if (isSole && room > 0) {
      any = Math.min(room, Math.max(0, this.#missing.singlyHeldCount - neighbour.anyAsked));
      neighbour.askAny(any, nowMs);
      room -= any;
    }
    while (room > 0 && !this.#isSpared(neighbour, isSole, nowMs)) {
      const chunk = this.#rarest(neighbour) ?? this.#takeOvers.choose(neighbour, nowMs);
      if (chunk === undefined) break;
      ask(chunk);
    }
    if (chunks.length + any > 0) this.#decisions.push({ kind: 'want', neighbour: neighbour.name, chunks, any });
  }

  /** Whether a chunk that somebody waits for may be asked of one more: nobody owes it, or one who has stalled. */
  #isFree(chunk: number, nowMs: number): boolean {
    const askers = this.#missing.askers(chunk);
    if (askers !== 1) return askers === 0;
    for (const other of this.#neighbours.values()) {
      if (other.asked.has(chunk)) return nowMs - other.lastHeardMs >= this.#options.stallMs;
    }
    return false;
  }

  #windowChunks(neighbour: Neighbour): number {
    const { maxWindowBytes, windowMs, minWindowChunks, chunkBytes } = this.#options;
    // Until a rate is known the window grows with every chunk that comes, as TCP's does.
    const bytes =
      neighbour.bytesPerMs === undefined ? neighbour.answeredCount * chunkBytes : neighbour.bytesPerMs * windowMs;
    // One more than the rate asks for, so that a window that limits the rate widens.
    return Math.max(minWindowChunks, Math.floor(Math.min(maxWindowBytes, bytes) / chunkBytes) + 1);
  }

  /**
   * Whether a neighbour that has everything is left alone for now: while it still has chunks that nobody else has, and
   * after it has sent everything once. The others have what it would send twice, or will have it in a moment.
   */
  #isSpared(neighbour: Neighbour, isSole: boolean, nowMs: number): boolean {
    if (isSole) return this.#missing.singlyHeldCount > 0;
    if (!neighbour.isSpared) return false;
    neighbour.isSpared = this.#neighbours.size > 1 && nowMs - this.#lastNewMs < this.#options.spareMs;
    return neighbour.isSpared;
  }

  /** The rarest of some open chunks that it has; undefined when it has none. */
  #rarest(neighbour: Neighbour): number | undefined {
    const { random } = this.#options;
    return neighbour.have.isFull
      ? this.#missing.rarestOpen(random)
      : this.#missing.rarestOffer(neighbour.offers, random);
  }
}
