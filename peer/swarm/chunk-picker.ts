import type { ChunkSet, ReadonlyChunkSet } from '../chunk-set.js';
import { MissingChunks } from './missing-chunks.js';
import { Neighbour } from './neighbour.js';

/*
 * Decides which chunk to ask of whom. Events go in (a neighbour joined or left, has a chunk; bytes came; a chunk arrived
 * or failed), decisions come out of `decide`. No promises, sockets, clocks or global randomness: time comes in as
 * milliseconds of any steady clock, chance as a function, so the same code runs in the simulator.
 *
 * - From the only neighbour that has everything, we ask for "any n" chunks as long as there are chunks that nobody else
 *   has: it chooses at the last moment, and so sends each chunk once before it sends any twice.
 * - From everybody else we ask for chunks by number: wanted ones first, then the rarest, ties by chance.
 * - A chunk is asked of one neighbour. One who has nothing left to be asked takes over the tail of the neighbour whose
 *   queue lasts longest; among the last few chunks both are asked.
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
  /** Chunks asked of one neighbour at the least, so that a slow start can speed up. */
  readonly minWindowChunks: number;
  /** A neighbour that owes us something and has sent nothing for so long may be helped by others, in milliseconds. */
  readonly stallMs: number;
  /** When so few chunks are missing, one may be asked of two neighbours. */
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

/** Chunks scanned for the rarest one before the best so far is taken. */
const SCAN_LIMIT = 2048;

/** What would come so soon is on its way already, and taking it back is too late. */
const LEAST_GAIN_MS = 100;

/** The pure heart of a fetch. One picker serves one file. */
export class ChunkPicker {
  readonly #options: ChunkPickerOptions;
  readonly #missing: MissingChunks;
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #wanted = new Set<number>();
  #pendingCancels: Decision[] = [];

  /** `have` tells what is here already; it is copied. */
  constructor(have: ReadonlyChunkSet, options: ChunkPickerOptions) {
    this.#options = options;
    this.#missing = new MissingChunks(have, options.random);
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
    for (const neighbour of this.#neighbours.values()) if (this.#missing.anyIn(neighbour.have)) return true;
    return false;
  }

  /** A neighbour that will serve us, with what it has now. `have` is taken over. A name may join once. */
  join(name: string, have: ChunkSet, nowMs: number): void {
    this.#neighbours.set(name, new Neighbour(name, have, nowMs));
    for (const chunk of have) this.#missing.heldByOneMore(chunk);
  }

  /** It is gone; what was asked of it may be asked of others. */
  leave(name: string): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    this.#neighbours.delete(name);
    for (const chunk of neighbour.have) this.#missing.heldByOneLess(chunk);
  }

  /** A neighbour has got these chunks. */
  has(name: string, chunks: Iterable<number>): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    for (const chunk of chunks) if (neighbour.have.add(chunk)) this.#missing.heldByOneMore(chunk);
  }

  /** Bytes of some chunk came from a neighbour. */
  received(name: string, bytes: number, nowMs: number): void {
    this.#neighbours.get(name)?.received(bytes, nowMs);
  }

  /** A chunk is verified and here, from this neighbour, or from elsewhere when `name` is undefined. */
  arrived(name: string | undefined, chunk: number): Arrival {
    if (name !== undefined) this.#neighbours.get(name)?.answered(chunk);
    this.#wanted.delete(chunk);
    if (!this.#missing.remove(chunk)) return 'duplicate';
    for (const other of this.#neighbours.values()) {
      if (!other.asked.delete(chunk)) continue;
      this.#pendingCancels.push({ kind: 'cancel', neighbour: other.name, chunks: [chunk], any: 0 });
    }
    return 'new';
  }

  /** A neighbour will not send a chunk it was asked for: it does not have it after all. */
  refused(name: string, chunk: number): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    neighbour.answered(chunk);
    if (neighbour.have.delete(chunk)) this.#missing.heldByOneLess(chunk);
  }

  /** A neighbour will not send so many of its "any" chunks: from now on it is asked by number. */
  refusedAny(name: string, count: number): void {
    const neighbour = this.#neighbours.get(name);
    if (neighbour === undefined) return;
    neighbour.anyAsked = Math.max(0, neighbour.anyAsked - count);
    neighbour.refusesAny = true;
  }

  /** These are wanted before all others, in this order: somebody is waiting to read them. Replaces the earlier wish. */
  prioritise(chunks: Iterable<number>): void {
    this.#wanted.clear();
    for (const chunk of chunks) if (this.#missing.has(chunk)) this.#wanted.add(chunk);
  }

  /** What to ask and to take back now. Counts as asked when it is returned. */
  decide(nowMs: number): Decision[] {
    const decisions = this.#pendingCancels;
    this.#pendingCancels = [];
    if (this.#missing.count === 0) return decisions;
    const sole = this.#soleComplete();
    for (const neighbour of this.#neighbours.values()) {
      this.#trimAny(neighbour, sole, decisions);
      const want = this.#fill(neighbour, neighbour === sole, nowMs, decisions);
      if (want !== undefined) decisions.push(want);
    }
    return decisions;
  }

  /** When `decide` should be called again although nothing happened: the next moment a neighbour may count as stalled. */
  nextDeadlineMs(): number | undefined {
    let earliest: number | undefined;
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.outstanding === 0 || neighbour.isHelped) continue;
      const deadline = neighbour.lastHeardMs + this.#options.stallMs;
      if (earliest === undefined || deadline < earliest) earliest = deadline;
    }
    return earliest;
  }

  /** Neighbours that owe us something and have sent nothing since `nowMs - silentMs`. */
  silent(nowMs: number, silentMs: number): string[] {
    return [...this.#neighbours.values()]
      .filter((neighbour) => neighbour.outstanding > 0 && nowMs - neighbour.lastHeardMs >= silentMs)
      .map((neighbour) => neighbour.name);
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
  #trimAny(neighbour: Neighbour, sole: Neighbour | undefined, decisions: Decision[]): void {
    const allowed = neighbour === sole ? this.#missing.singlyHeldCount : 0;
    const excess = neighbour.anyAsked - allowed;
    if (excess <= 0) return;
    neighbour.anyAsked = allowed;
    decisions.push({ kind: 'cancel', neighbour: neighbour.name, chunks: [], any: excess });
  }

  #fill(neighbour: Neighbour, isSole: boolean, nowMs: number, decisions: Decision[]): Decision | undefined {
    const chunks: number[] = [];
    let any = 0;
    const window = this.#windowChunks(neighbour);
    let room = window - neighbour.outstanding;
    // A message for each chunk would cost more than the chunk: a quarter of the window is asked for at a time.
    if (room < window / 4 && this.#wanted.size === 0) return undefined;
    const ask = (chunk: number) => {
      neighbour.ask(chunk, nowMs);
      chunks.push(chunk);
      room -= 1;
    };
    for (const chunk of this.#wanted) {
      if (room <= 0) break;
      if (neighbour.have.has(chunk) && this.#askers(chunk) === 0) ask(chunk);
    }
    if (isSole && room > 0) {
      any = Math.min(room, Math.max(0, this.#missing.singlyHeldCount - neighbour.anyAsked));
      neighbour.askAny(any, nowMs);
      room -= any;
    }
    // The sole complete neighbour is spared second copies while it still has chunks that nobody else has.
    const isSpared = isSole && this.#missing.singlyHeldCount > 0;
    while (room > 0 && !isSpared) {
      const chunk = this.#rarest(neighbour) ?? this.#takeOver(neighbour, nowMs, decisions);
      if (chunk === undefined) break;
      ask(chunk);
    }
    return chunks.length + any === 0 ? undefined : { kind: 'want', neighbour: neighbour.name, chunks, any };
  }

  #windowChunks(neighbour: Neighbour): number {
    const { maxWindowBytes, windowMs, minWindowChunks, chunkBytes } = this.#options;
    const bytes = Math.min(maxWindowBytes, (neighbour.bytesPerMs ?? 0) * windowMs);
    return Math.max(minWindowChunks, Math.floor(bytes / chunkBytes));
  }

  #rarest(neighbour: Neighbour): number | undefined {
    let best: number | undefined;
    let bestHolders = Number.POSITIVE_INFINITY;
    let scanned = 0;
    for (const chunk of this.#missing.fromRandom()) {
      if (scanned >= SCAN_LIMIT && best !== undefined) break;
      scanned += 1;
      const holders = this.#missing.holders(chunk);
      if (holders >= bestHolders || !neighbour.have.has(chunk) || this.#askers(chunk) > 0) continue;
      best = chunk;
      bestHolders = holders;
      if (holders <= this.#missing.fewestHolders) break;
    }
    return best;
  }

  #askers(chunk: number): number {
    let count = 0;
    for (const neighbour of this.#neighbours.values()) if (neighbour.asked.has(chunk)) count += 1;
    return count;
  }

  /**
   * Nothing is left to ask of this neighbour: take over the chunk that would come last from the one whose queue lasts
   * longest, if it would come sooner from here, or if that one has stalled. Near the end both stay asked.
   */
  #takeOver(neighbour: Neighbour, nowMs: number, decisions: Decision[]): number | undefined {
    const chunkMs = neighbour.waitMs(this.#options.chunkBytes, neighbour.outstanding + 1);
    const isEndGame = this.#missing.count <= this.#options.endGameChunks;
    const others = [...this.#neighbours.values()]
      .filter((other) => other !== neighbour && other.asked.size > 0)
      .sort((a, b) => b.waitMs(this.#options.chunkBytes) - a.waitMs(this.#options.chunkBytes));
    for (const other of others) {
      const hasStalled = nowMs - other.lastHeardMs >= this.#options.stallMs;
      const worthMs = Math.max(2 * chunkMs, LEAST_GAIN_MS);
      if (!hasStalled && other.waitMs(this.#options.chunkBytes) <= worthMs) return undefined;
      const chunk = [...other.asked.keys()].findLast(
        (candidate) => neighbour.have.has(candidate) && this.#askers(candidate) === 1,
      );
      if (chunk === undefined) continue;
      if (hasStalled) other.isHelped = true;
      if (!hasStalled && !isEndGame) {
        other.asked.delete(chunk);
        decisions.push({ kind: 'cancel', neighbour: other.name, chunks: [chunk], any: 0 });
      }
      return chunk;
    }
    return undefined;
  }
}
