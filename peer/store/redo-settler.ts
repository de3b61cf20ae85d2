import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { HEADER_BYTES } from './redo-entry.js';
import type { RedoFile } from './redo-file.js';
import { RedoRewriter } from './redo-rewriter.js';
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
 * they came, or an older one would undo what was in a newer one. So when one cannot be settled all later ones are kept too,
 * until somebody has reason to hope and calls {@link tryAgain}.
 */
export class RedoSettler {
  readonly #deps: RedoSettlerDeps;
  /** The oldest first. */
  readonly #logs = new Set<RedoFile>();
  /** Those that could not be settled, the oldest first, and up to where each has been by now. */
  readonly #kept = new Map<RedoFile, number>();
  /** Of all of these: it knows what it has taken from them. */
  #rewriter: RedoRewriter;
  #settling: Promise<void> = Promise.resolve();
  #isToTryAgain = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: RedoSettlerDeps) {
    this.#deps = deps;
    this.#rewriter = new RedoRewriter(deps);
  }

  /** How many logs there are. */
  get count(): number {
    return this.#logs.size;
  }

  /** How many of them could not be settled. */
  get keptCount(): number {
    return this.#kept.size;
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

  /**
   * Settles what could not be, in the background. While the disk still fails this costs the writing of a few files, and while
   * one attempt waits for its turn there is no need of another.
   */
  tryAgain(): void {
    if (this.#failure === undefined || this.#isToTryAgain) return;
    this.#isToTryAgain = true;
    this.#settling = this.#settling.then(() => {
      this.#isToTryAgain = false;
      return this.#settleKept();
    });
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
      await this.#discard(log);
    } catch (error) {
      if (this.#deps.closing.aborted) {
        log.keepRoom();
        return;
      }
      this.#failure = { error };
      this.#deps.log.error({ error, path: log.path }, 'could not settle a log of the store; it is tried again');
      this.#keep(log);
    }
  }

  async #settleKept(): Promise<void> {
    const { closing, log } = this.#deps;
    if (closing.aborted) return;
    try {
      for (const [kept, from] of this.#kept) {
        for await (const end of this.#rewriter.rewrite(kept, from)) this.#kept.set(kept, end);
        await this.#discard(kept);
      }
    } catch (error) {
      // Told when the first attempt failed.
      this.#failure = { error };
      return;
    }
    this.#failure = undefined;
    this.#rewriter = new RedoRewriter(this.#deps);
    log.warn('settled the logs of the store that could not be settled before');
  }

  async #discard(log: RedoFile): Promise<void> {
    await log.discard(this.#deps);
    this.#kept.delete(log);
    this.#logs.delete(log);
  }

  /** Should the process end before it is settled after all, the next one must write its files again, too. */
  #keep(log: RedoFile): void {
    this.#kept.set(log, HEADER_BYTES);
    log.keepRoom();
    try {
      log.noteUnsettled();
    } catch (cause) {
      this.#deps.log.error({ error: cause, path: log.path }, 'could not note that a log of the store is not settled');
    }
  }
}
