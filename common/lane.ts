import { abortError } from './errors.js';

/** Runs at most `width` tasks at once, the others wait in order. */
export class Lane {
  readonly #width: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /**
   * The task's outcome. It never starts before this call has returned. When `signal` fires while it waits, it does not
   * run at all; once it runs, the signal is its own business.
   */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await task();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw abortError(signal);
    if (this.#running < this.#width) {
      this.#running += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const leave = signal === undefined ? undefined : (): void => giveUp(signal);
      const enter = (): void => {
        if (leave !== undefined) signal?.removeEventListener('abort', leave);
        this.#running += 1;
        resolve();
      };
      const giveUp = (fired: AbortSignal): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(abortError(fired));
      };
      this.#waiting.push(enter);
      if (leave !== undefined) signal?.addEventListener('abort', leave, { once: true });
    });
  }
}

/** One {@link Lane} of width 1 for each key that is in use. */
export class KeyedLanes {
  readonly #lanes = new Map<string, { lane: Lane; users: number }>();

  /** Runs `task` when those before it under the same key are done. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const entry = this.#lanes.get(key) ?? { lane: new Lane(1), users: 0 };
    this.#lanes.set(key, entry);
    entry.users += 1;
    try {
      return await entry.lane.run(task);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#lanes.delete(key);
    }
  }
}
