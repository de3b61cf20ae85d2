import type { ChunkSet } from '../chunk-set.js';

/** Shortest time over which a rate is measured, in milliseconds. */
const RATE_SPAN_MS = 20;
/** Weight of the newest measurement. */
const RATE_WEIGHT = 0.5;

/** What the picker knows of one peer that serves us. Pure bookkeeping. */
export class Neighbour {
  readonly name: string;
  readonly have: ChunkSet;
  /** How many of the chunks that we miss it has. */
  usefulCount = 0;
  /**
   * Unless it has everything: the open chunks that it has, and others that no longer are; some twice. Taking one out
   * drops what is no longer true, so that each is looked at once.
   */
  readonly offers: number[] = [];
  /** Chunks asked by number and not yet here, in the order in which they were asked, with the time of asking. */
  readonly asked = new Map<number, number>();
  /** Chunks that were asked of it and came, or were refused. */
  answeredCount = 0;
  /** Chunks asked for without a number and not yet here. */
  anyAsked = 0;
  /** It has declined to choose for us: everything it has was sent to somebody already. */
  refusesAny = false;
  /** Left alone although it has everything: the others have it too, or will in a moment. */
  isSpared = false;
  /** When bytes last came, or when we began to wait. */
  lastHeardMs: number;
  /** Others have been asked for what it owes; set while it is stalled, cleared by its next bytes. */
  isHelped = false;
  /** Measured while something was outstanding; undefined until then. */
  bytesPerMs: number | undefined;
  #spanStartMs: number;
  #spanBytes = 0;

  constructor(name: string, have: ChunkSet, nowMs: number) {
    this.name = name;
    this.have = have;
    this.lastHeardMs = nowMs;
    this.#spanStartMs = nowMs;
  }

  get outstanding(): number {
    return this.asked.size + this.anyAsked;
  }

  ask(chunk: number, nowMs: number): void {
    this.#beginWaiting(nowMs);
    this.asked.set(chunk, nowMs);
  }

  askAny(count: number, nowMs: number): void {
    if (count === 0) return;
    this.#beginWaiting(nowMs);
    this.anyAsked += count;
  }

  /** A whole chunk came or was refused. Returns in which way it had been asked for, if it had. */
  answered(chunk: number): 'by number' | 'any' | undefined {
    this.answeredCount += 1;
    if (this.asked.delete(chunk)) return 'by number';
    if (this.anyAsked === 0) return undefined;
    this.anyAsked -= 1;
    return 'any';
  }

  received(bytes: number, nowMs: number): void {
    this.lastHeardMs = nowMs;
    this.isHelped = false;
    this.#spanBytes += bytes;
    const span = nowMs - this.#spanStartMs;
    if (span < RATE_SPAN_MS) return;
    const rate = this.#spanBytes / span;
    this.bytesPerMs = this.bytesPerMs === undefined ? rate : this.bytesPerMs * (1 - RATE_WEIGHT) + rate * RATE_WEIGHT;
    this.#spanStartMs = nowMs;
    this.#spanBytes = 0;
  }

  /** How long `chunks` chunks (what is outstanding, when not given) will take at the measured rate; 0 while unknown. */
  waitMs(chunkBytes: number, chunks = this.outstanding): number {
    return this.bytesPerMs === undefined || this.bytesPerMs === 0 ? 0 : (chunks * chunkBytes) / this.bytesPerMs;
  }

  /** Time in which nothing was owed says nothing about the neighbour's rate. */
  #beginWaiting(nowMs: number): void {
    if (this.outstanding > 0) return;
    this.lastHeardMs = nowMs;
    this.#spanStartMs = nowMs;
    this.#spanBytes = 0;
  }
}
