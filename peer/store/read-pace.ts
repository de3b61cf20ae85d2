/** A read that takes longer did not come from memory, in milliseconds: 256 KiB are copied in a tenth of that. */
const SLOW_MS = 2;
/** One alone may have waited for a core that another thread had. */
const SLOW_IN_A_ROW = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Tells whether to read on the calling thread. What lies in the page cache is read faster than another thread is woken;
 * what lies on a disk would keep everything else waiting. There is no asking, so it is tried: slow reads in a row send
 * those of the next while to other threads, for longer each time.
 */
export class ReadPace {
  #slowReads = 0;
  #asideUntilMs = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  /** Whether to read on the calling thread now. Times are milliseconds of any steady clock. */
  isQuick(nowMs: number): boolean {
    return nowMs >= this.#asideUntilMs;
  }

  /** To be told how long a read on the calling thread took. */
  took(ms: number, nowMs: number): void {
    if (ms <= SLOW_MS) {
      this.#slowReads = 0;
      this.#pauseMs = FIRST_PAUSE_MS;
      return;
    }
    this.#slowReads += 1;
    if (this.#slowReads < SLOW_IN_A_ROW) return;
    this.#asideUntilMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }
}
