import type { MissingChunks } from './missing-chunks.js';
import type { Neighbour } from './neighbour.js';

/*
 * The end of a fetch, when every chunk is asked of somebody: who has nothing left to be asked takes over from who is much
 * slower, or has stalled. What the other has in its transport comes anyway, so a chunk that was taken over may come twice;
 * that is allowed a few times. Pure: time comes in as milliseconds of any steady clock.
 */

/** What was asked of a neighbour earliest is in its transport by now and comes anyway: so many bytes of it. */
const COMMITTED_BYTES = 256 * 1024;
/** Parts of a file that may come in vain. */
const DUPLICATE_SHARE = 0.01;
/** What would come so soon is on its way already, and taking it back is too late. */
const LEAST_GAIN_MS = 100;

/** By their names. */
type Neighbours = ReadonlyMap<string, Neighbour>;

/** Settings of {@link TakeOvers}. */
export interface TakeOversOptions {
  readonly chunkBytes: number;
  /** Of the whole file. */
  readonly chunkCount: number;
  /** A neighbour that owes us something and has sent nothing for so long may be helped by others, in milliseconds. */
  readonly stallMs: number;
  /** How many chunks may come twice because they were taken over; a hundredth of a large file's, if that is more. */
  readonly endGameChunks: number;
}

/** Chooses what one neighbour is to take over from another. */
export class TakeOvers {
  readonly #missing: MissingChunks;
  readonly #neighbours: Neighbours;
  readonly #takeBack: (from: Neighbour, chunk: number) => void;
  readonly #options: TakeOversOptions;
  readonly #mostDuplicates: number;
  #duplicates = 0;
  /** Asked of a second neighbour, and not here yet. */
  readonly #pending = new Set<number>();

  constructor(
    deps: {
      readonly missing: MissingChunks;
      /** Those of the fetch, as they are now. */
      readonly neighbours: Neighbours;
      /** Takes a chunk back that was asked of a neighbour. */
      readonly takeBack: (from: Neighbour, chunk: number) => void;
    },
    options: TakeOversOptions,
  ) {
    this.#missing = deps.missing;
    this.#neighbours = deps.neighbours;
    this.#takeBack = deps.takeBack;
    this.#options = options;
    this.#mostDuplicates = Math.max(options.endGameChunks, Math.floor(options.chunkCount * DUPLICATE_SHARE));
  }
  /** A chunk came for the first time. */
  came(chunk: number): void {
    this.#pending.delete(chunk);
  }

  /** A chunk came in vain. */
  cameAgain(): void {
    this.#duplicates += 1;
  }

  /**
   * A chunk to ask of `neighbour`, of which nothing else is left to be asked; it has it and was not asked for it. Where
   * the other may still be stopped it is taken back there. Undefined when all is left where it is.
   */
  choose(neighbour: Neighbour, nowMs: number): number | undefined {
    const { chunkBytes, stallMs } = this.#options;
    // While others have something open for us, what is owed elsewhere has time: most of it comes after all.
    if (this.#missing.askableCount > 0) return undefined;
    const chunkMs = neighbour.waitMs(chunkBytes, neighbour.outstanding + 1);
    let slowest: Neighbour | undefined;
    for (const other of this.#neighbours.values()) {
      if (other === neighbour || other.asked.size === 0) continue;
      if (nowMs - other.lastHeardMs >= stallMs) {
        const chunk = this.#lastOnlyAskedOf(other, neighbour, 0);
        if (chunk === undefined) continue;
        other.isHelped = true;
        return chunk;
      }
      if (slowest === undefined || other.waitMs(chunkBytes) > slowest.waitMs(chunkBytes)) slowest = other;
    }
    const worthMs = Math.max(2 * chunkMs, LEAST_GAIN_MS);
    if (slowest === undefined || slowest.waitMs(chunkBytes) <= worthMs) return undefined;
    return this.#takeFrom(slowest, neighbour);
  }

  /** What is taken over may still come from both: when that has happened too often, all is left where it is. */
  #takeFrom(other: Neighbour, neighbour: Neighbour): number | undefined {
    if (this.#duplicates + this.#pending.size >= this.#mostDuplicates) return undefined;
    const late = this.#lastOnlyAskedOf(other, neighbour, Math.ceil(COMMITTED_BYTES / this.#options.chunkBytes));
    const chunk = late ?? this.#lastOnlyAskedOf(other, neighbour, 0);
    if (chunk === undefined) return undefined;
    this.#pending.add(chunk);
    if (late !== undefined) this.#takeBack(other, late);
    return chunk;
  }

  /** The last chunk asked of `other` alone that `neighbour` has, the `first` earliest ones left out. */
  #lastOnlyAskedOf(other: Neighbour, neighbour: Neighbour, first: number): number | undefined {
    const asked = [...other.asked.keys()].slice(first);
    return asked.findLast((chunk) => neighbour.have.has(chunk) && this.#missing.askers(chunk) === 1);
  }
}
