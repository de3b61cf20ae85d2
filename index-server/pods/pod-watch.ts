import { setTimeout as delay } from 'node:timers/promises';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { IndexMetrics } from '../metrics.js';
import { type EndpointSlice, podStates } from './endpoint-slices.js';
import type { PodVerdicts } from './pod-verdicts.js';

/*
 * Follows the pods behind the peers' Service: lists them once, watches from there on, goes on where a watch ended, and
 * lists again when the API server no longer knows that place. This keeps the time; what to think of the pods is decided in
 * pod-verdicts.ts, and how to ask for them in kubernetes-slices.ts.
 */

/** What a watch tells. A bookmark says how far it is, and nothing else. */
export type SliceEvent =
  | { readonly type: 'set' | 'deleted'; readonly slice: EndpointSlice }
  | { readonly type: 'bookmark'; readonly resourceVersion: string };

/** Where the slices of one Service are told. Failures are ShoalErrors; `denied` when it may not be asked. */
export interface SliceSource {
  /** Whom it asks for what, for the log. */
  readonly description: string;
  /** All slices as they are now, and the place from which to watch on. */
  list(signal: AbortSignal): Promise<{ readonly slices: readonly EndpointSlice[]; readonly resourceVersion: string }>;
  /**
   * Resolves when the watch stands, with what happens after `resourceVersion` until the server ends it. Either throws
   * {@link ExpiredError} when that place is too far back.
   */
  watch(resourceVersion: string, signal: AbortSignal): Promise<AsyncIterable<SliceEvent>>;
}

/** The API server remembers nothing from the place where a watch should go on: list again. */
export class ExpiredError extends ShoalError {
  constructor(message: string) {
    super('conflict', message);
  }
}

/** What a {@link PodWatch} works with. */
export interface PodWatchDeps {
  readonly source: SliceSource;
  readonly verdicts: PodVerdicts;
  /** Told after each change of the verdicts. */
  readonly onChange: () => void;
  readonly metrics: IndexMetrics;
  readonly log: Logger;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Times of a watch, in milliseconds. */
export interface PodWatchOptions {
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
  /** Before asking again where it is not allowed to ask. */
  readonly deniedRetryMs: number;
}

const NOT_ALLOWED: readonly string[] = ['denied', 'unauthenticated'];

/** Keeps the verdicts of one server up to date, while {@link run} goes on. */
export class PodWatch {
  readonly #deps: PodWatchDeps;
  readonly #options: PodWatchOptions;
  readonly #slices = new Map<string, EndpointSlice>();
  /** From where to watch on; undefined asks for a list. */
  #resourceVersion: string | undefined;
  /** Attempts in a row that were of no use. */
  #failures = 0;
  #loggedAs = '';

  constructor(deps: PodWatchDeps, options: PodWatchOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Watches until `signal` fires. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const failure = await this.#attempt(signal);
      this.#lose();
      if (signal.aborted) return;
      const waitMs = this.#waitMs(failure);
      // The only thing that a delay rejects with is its signal, and the loop asks for that.
      if (waitMs > 0) await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** One watch from its begin to its end; returns what ended it, undefined when the server did in good order. */
  async #attempt(signal: AbortSignal): Promise<ShoalError | undefined> {
    try {
      this.#resourceVersion ??= await this.#list(signal);
      const events = await this.#deps.source.watch(this.#resourceVersion, signal);
      this.#found();
      const sinceMs = this.#deps.now();
      for await (const event of events) this.#take(event);
      // One that told nothing for long was of use as well: it told that nothing happened.
      if (this.#deps.now() - sinceMs >= this.#options.lastRetryMs) this.#failures = 0;
      return undefined;
    } catch (thrown) {
      return toShoalError(thrown);
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { slices, resourceVersion } = await this.#deps.source.list(signal);
    this.#slices.clear();
    for (const slice of slices) this.#slices.set(slice.metadata.name, slice);
    this.#update();
    return resourceVersion;
  }

  #take(event: SliceEvent): void {
    this.#failures = 0;
    if (event.type === 'bookmark') {
      this.#resourceVersion = event.resourceVersion;
      return;
    }
    const { name, resourceVersion } = event.slice.metadata;
    if (event.type === 'deleted') this.#slices.delete(name);
    else this.#slices.set(name, event.slice);
    this.#resourceVersion = resourceVersion;
    this.#update();
  }

  #update(): void {
    this.#deps.verdicts.update(podStates(this.#slices.values()));
    this.#deps.onChange();
  }

  #found(): void {
    const { verdicts, metrics, log, source } = this.#deps;
    verdicts.resume();
    metrics.podWatchInSync.set(1);
    if (this.#slices.size > 0) this.#tell('watching', () => log.info(`watching ${source.description}`));
    else this.#tell('nothing', () => log.warn(`${source.description}: there are none; is SHOAL_PEER_SERVICE right?`));
  }

  #lose(): void {
    this.#deps.metrics.podWatchInSync.set(0);
    this.#deps.verdicts.lose();
  }

  /** How long to wait before the next attempt. */
  #waitMs(failure: ShoalError | undefined): number {
    const { metrics, log, source } = this.#deps;
    const isExpired = failure instanceof ExpiredError;
    if (isExpired) {
      metrics.podWatchFailed('expired');
      this.#resourceVersion = undefined;
    }
    this.#failures += 1;
    // At once, unless that was of no use the last time.
    if (failure === undefined || isExpired) return this.#failures === 1 ? 0 : this.#backoffMs();
    const reason = NOT_ALLOWED.includes(failure.code) ? 'denied' : 'unavailable';
    metrics.podWatchFailed(reason);
    // Connections break; it is worth a line when the next one fails too.
    if (reason === 'denied' || this.#failures > 1) {
      const text = `cannot watch ${source.description}; killed peers are noticed by their leases alone`;
      this.#tell(reason, () => log.warn({ error: failure }, text));
    }
    return reason === 'denied' ? this.#options.deniedRetryMs : this.#backoffMs();
  }

  /** Between half and all of it, so that servers that lost the API server together do not come back in step. */
  #backoffMs(): number {
    const { firstRetryMs, lastRetryMs } = this.#options;
    const waitMs = Math.min(lastRetryMs, firstRetryMs * 2 ** Math.min(this.#failures - 1, 20));
    return waitMs * (0.5 + 0.5 * this.#deps.random());
  }

  /** Logs a change of circumstances once, however long it lasts. */
  #tell(circumstances: string, write: () => void): void {
    if (this.#loggedAs === circumstances) return;
    this.#loggedAs = circumstances;
    write();
  }
}
