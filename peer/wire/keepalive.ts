/** Settings of a {@link Keepalive}. */
export interface KeepaliveOptions {
  /**
   * A connection on which nothing came for so long is asked for a sign of life, in milliseconds. Infinity: never, where
   * the kernel tells of every end.
   */
  readonly keepaliveMs: number;
  /** How long that may take. */
  readonly keepaliveTimeoutMs: number;
}

/**
 * Notices that the other side is gone without a word, as when its machine lost power. Its timers keep no process alive.
 */
export class Keepalive {
  readonly #deps: { readonly ping: () => void; readonly onSilence: () => void };
  readonly #options: KeepaliveOptions;
  readonly #interval: NodeJS.Timeout | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #hasHeard = true;
  #isDeaf = false;

  constructor(
    deps: {
      /** Asks for a sign of life. */
      readonly ping: () => void;
      /** None came. Once, at most. */
      readonly onSilence: () => void;
    },
    options: KeepaliveOptions,
  ) {
    this.#deps = deps;
    this.#options = options;
    if (options.keepaliveMs === Number.POSITIVE_INFINITY) return;
    this.#interval = setInterval(() => this.#look(), options.keepaliveMs);
    this.#interval.unref();
  }

  /** Something came. */
  heard(): void {
    this.#hasHeard = true;
  }

  /** Whether nothing is being read, so that nothing can be heard: then silence means nothing. */
  set isDeaf(isDeaf: boolean) {
    this.#isDeaf = isDeaf;
    // What came meanwhile is heard in a moment.
    this.#hasHeard = true;
  }

  stop(): void {
    clearInterval(this.#interval);
    clearTimeout(this.#timeout);
  }

  #look(): void {
    if (this.#hasHeard || this.#isDeaf) {
      this.#hasHeard = false;
      clearTimeout(this.#timeout);
      this.#timeout = undefined;
    } else if (this.#timeout === undefined) {
      this.#deps.ping();
      this.#timeout = setTimeout(() => this.#decide(), this.#options.keepaliveTimeoutMs);
      this.#timeout.unref();
    }
  }

  #decide(): void {
    this.#timeout = undefined;
    if (this.#hasHeard || this.#isDeaf) return;
    this.stop();
    this.#deps.onSilence();
  }
}
