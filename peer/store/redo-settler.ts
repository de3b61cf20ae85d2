import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import type { RedoFile } from './redo-file.js';
import type { StorePaths } from './store-paths.js';
import { syncSmallFiles } from './sync-small-files.js';
import type { Syncer } from './syncer.js';

/** What a {@link RedoSettler} works with. */
export interface RedoSettlerDeps {
  readonly hasher: Pick<Hasher, 'sync'>;
  readonly syncer: Syncer;
  readonly paths: StorePaths;
  readonly log: Logger;
  /** Fires when the store closes. */
  readonly closing: AbortSignal;
}

/**
 * Makes what old logs tell of durable in its own places, after which they go: one log after the other, in the order in which
 * they came, or an older one would undo what was in a newer one. So when one cannot be settled all later ones stay too.
 */
export class RedoSettler {
  readonly #deps: RedoSettlerDeps;
  /** The oldest first. */
  readonly #logs = new Set<RedoFile>();
  #settling: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: RedoSettlerDeps) {
    this.#deps = deps;
  }

  /** How many logs there are. */
  get count(): number {
    return this.#logs.size;
  }

  /** Why a log could not be settled; undefined while all can. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Whether one of them tells of a file. */
  covers(id: string): boolean {
    for (const { ids } of this.#logs) if (ids.has(id)) return true;
    return false;
  }

  /** Takes a log to which nothing is added any more, and settles it in the background. */
  take(log: RedoFile): void {
    this.#logs.add(log);
    this.#settling = this.#settling.then(() => this.#settle(log));
  }

  /** Resolves when all are settled, or kept because that failed. */
  async whenSettled(): Promise<void> {
    await this.#settling;
  }

  /** Resolves when nothing is under way. What is not settled is when the store opens next. */
  async close(): Promise<void> {
    await this.#settling;
    for (const log of this.#logs) log.close();
  }

  async #settle(log: RedoFile): Promise<void> {
    await log.whenWritten();
    if (this.#failure !== undefined) {
      this.#keep(log);
      return;
    }
    try {
      await syncSmallFiles(this.#deps, log.ids);
      await log.discard(this.#deps);
      this.#logs.delete(log);
    } catch (error) {
      if (this.#deps.closing.aborted) {
        log.keepRoom();
        return;
      }
      this.#failure = { error };
      this.#deps.log.error({ error, path: log.path }, 'could not settle a log of the store');
      this.#keep(log);
    }
  }

  /**
   * The kernel tells once of what it could not write, and another sync of the same files may well succeed: only writing
   * them again is sure, which can be done when nobody reads them.
   */
  #keep(log: RedoFile): void {
    log.keepRoom();
    try {
      log.noteUnsettled();
    } catch (cause) {
      this.#deps.log.error({ error: cause, path: log.path }, 'could not note that a log of the store is not settled');
    }
  }
}
