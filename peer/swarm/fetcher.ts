import { ShoalError } from '../../common/errors.js';
import type { Fetch, FetcherDeps, FetcherOptions, FetchRequest } from './fetch.js';
import { RunningFetch } from './running-fetch.js';

/** Starts fetches, and lets those who want the same file share one. */
export class Fetcher {
  readonly #deps: FetcherDeps;
  readonly #options: FetcherOptions;
  readonly #running = new Map<string, RunningFetch>();
  #isStopped = false;

  constructor(deps: FetcherDeps, options: FetcherOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Begins to fetch a file that is not complete here, or joins the fetch of it that is under way. */
  start(request: FetchRequest): Fetch {
    if (this.#isStopped) throw new ShoalError('unavailable', 'this peer is leaving and takes no new work');
    const running = this.#running.get(request.id);
    if (running !== undefined) {
      running.learn(request);
      return running;
    }
    const fetch = new RunningFetch(this.#deps, this.#options, request, () => this.#running.delete(request.id));
    this.#running.set(request.id, fetch);
    fetch.run();
    return fetch;
  }

  get(id: string): Fetch | undefined {
    return this.#running.get(id);
  }

  get active(): readonly Fetch[] {
    return [...this.#running.values()];
  }

  /** A peer has opened an Exchange with us about a file: if we are fetching it too, it may have what we lack. */
  noteNeighbour(id: string, peer: string): void {
    this.#running.get(id)?.met(peer);
  }

  /** Cancels all fetches and waits until nothing more is written. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#running.values()].map((fetch) => fetch.cancel('this peer is leaving')));
  }
}
