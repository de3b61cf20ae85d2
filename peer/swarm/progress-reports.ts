import type { FetchProgress } from './fetch.js';

/** The least between two reports while bytes come, in milliseconds. */
const PROGRESS_MS = 80;

/** Counts how far a fetch is, and tells those who want to know. */
export class ProgressReports {
  readonly #listeners = new Set<(progress: FetchProgress) => void>();
  readonly #peers: () => number;
  #doneBytes = 0;
  #totalBytes = 0;
  #lastMs = 0;

  /** `peers` says how many are connected. */
  constructor(peers: () => number) {
    this.#peers = peers;
  }

  /** Returns what ends the telling. */
  add(listener: (progress: FetchProgress) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The size is known, and how much of it is here already, both in bytes. */
  begin(doneBytes: number, totalBytes: number): void {
    this.#doneBytes = doneBytes;
    this.#totalBytes = totalBytes;
  }

  /** So many bytes more are here. Told if it has been a while since the last time. */
  got(bytes: number, nowMs: number): void {
    this.#doneBytes += bytes;
    if (nowMs - this.#lastMs < PROGRESS_MS) return;
    this.#lastMs = nowMs;
    this.#tell(undefined);
  }

  /** Nothing moves, and this is why. */
  wait(reason: string): void {
    this.#tell(reason);
  }

  /** Tells where it ended, for the last time. */
  end(): void {
    this.#tell(undefined);
    this.#listeners.clear();
  }

  #tell(waiting: string | undefined): void {
    if (this.#listeners.size === 0) return;
    const progress = { waiting, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes, peers: this.#peers() };
    for (const listener of this.#listeners) listener(progress);
  }
}
