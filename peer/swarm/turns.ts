/** The most between two turns, in milliseconds. */
const HOUSEKEEPING_MS = 250;

/**
 * Lets something have its turn soon after whatever may change what it would do: once, however much has happened in one
 * turn of the event loop, and now and then although nothing has.
 */
export class Turns {
  readonly #turn: () => number;
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;
  #isStopped = false;

  /** `turn` returns in how many milliseconds something is due by itself; `Infinity` when nothing is. */
  constructor(turn: () => number) {
    this.#turn = turn;
  }

  /** Something has happened. */
  wake(): void {
    if (this.#isDue || this.#isStopped) return;
    this.#isDue = true;
    setImmediate(() => this.#take());
  }

  /** No turn is taken from now on. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #take(): void {
    this.#isDue = false;
    if (this.#isStopped) return;
    const dueMs = this.#turn();
    // It may have been the last.
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    // What has been due for a while without effect must not turn this into a busy loop.
    const waitMs = dueMs <= 0 ? HOUSEKEEPING_MS : Math.min(HOUSEKEEPING_MS, dueMs);
    this.#timer = setTimeout(() => this.wake(), waitMs);
  }
}
