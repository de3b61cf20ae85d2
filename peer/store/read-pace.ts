/** A read that takes longer did not come from memory, in milliseconds: 256 KiB are copied in a tenth of that. */
const SLOW_MS = 2;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Tells whether to read on the calling thread. What lies in the page cache is read faster than another thread is woken;
 * what lies on a disk would keep everything else waiting. There is no asking, so it is tried: a slow read sends those of
 * the next while to other threads, for longer each time.
 */
export class ReadPace {
  #asideUntilMs = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  /** Whether to read on the calling thread now. Times are milliseconds of any steady clock. */
  isQuick(nowMs: number): boolean {
    return nowMs >= this.#asideUntilMs;
  }

  /** To be told how long a read on the calling thread took. */
  took(ms: number, nowMs: number): void {
    if (ms <= SLOW_MS) {
      this.#pauseMs = FIRST_PAUSE_MS;
      return;
    }
    this.#asideUntilMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }
}
