import fs from 'node:fs';
import { Deferred } from '../../common/deferred.js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import { storageError } from './file-io.js';
import { encodeEntry, HEADER_BYTES, type RedoEntry } from './redo-entry.js';
import { RedoFile } from './redo-file.js';
import { restoreLog } from './redo-restore.js';
import { RedoSettler, type RedoSettlerDeps } from './redo-settler.js';
import type { Space } from './space.js';
import { syncSmallFiles } from './sync-small-files.js';

/*
 * Makes small files durable many at a time. Their data and info files are written without a sync, and besides all of it
 * goes into one log, which is synced once for all that came meanwhile:
 *
 *   1. add(): an entry with data and info file, durable when it resolves.
 *   2. The machine crashes: the next start, under another boot, writes again what the log has, and syncs that.
 *   3. The log is large enough: the next entries go to a new one, the files of the old one are synced one by one in the
 *      background, and it goes. Until then changes of their info files go through the log too, so that what it says of a
 *      file is never older than what the disk says.
 *
 * The room of a log is lent: clear() settles all of them when a file needs it. What comes while there is no room for a log
 * is synced by itself.
 *
 * Logs go in the order in which they came, or an older one would undo what was in a newer one. So when the disk fails and
 * one cannot be settled, all later ones stay too, and what comes is synced by itself. Whatever comes is then a reason to try
 * again, and so is room that a file gives back: what the logs have is written anew. A change of a file in them waits for
 * that, and is refused when it fails once more. The next start tries, too.
 *
 * A killed process needs none of this: what it wrote is in the page cache.
 */

/** Logs whose files wait to be synced; who adds more waits too, so that three logs are the most that the disk has. */
const OLD_LOGS = 2;
/** Of what could be lent, a log takes no more than one in so many: there are three, and files need some. */
const SHARE = 4;

interface Waiting {
  readonly entry: RedoEntry;
  readonly write: () => Promise<void>;
  readonly added: Deferred<void>;
}

/** What a {@link RedoLog} works with. */
export interface RedoLogDeps extends RedoSettlerDeps {
  readonly space: Pick<Space, 'lend' | 'adoptLoan' | 'lendableBytes'>;
  /** Names the boot of the machine. */
  readonly boot: string;
}

/** See the head of this file. */
export class RedoLog {
  readonly #deps: RedoLogDeps;
  readonly #logBytes: number;
  readonly #settler: RedoSettler;
  #current: RedoFile | undefined;
  #lastNumber = 0;
  #waiting: Waiting[] = [];
  #clearing: Deferred<void>[] = [];
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;

  /** `logBytes` is how large a log may become. */
  constructor(deps: RedoLogDeps, options: { readonly logBytes: number }) {
    this.#deps = deps;
    this.#logBytes = options.logBytes;
    this.#settler = new RedoSettler(deps);
  }

  /**
   * Looks at what an earlier process left, before anybody reads the files of the store: logs of before a crash of the
   * machine, and those that could not be settled, are written out again, others are taken over. Throws what the disk says.
   */
  async open(): Promise<void> {
    const { paths, space, boot } = this.#deps;
    const numbers = fs.readdirSync(paths.redo).map(Number).filter(Number.isSafeInteger);
    let isRestoring = false;
    for (const number of numbers.sort((a, b) => a - b)) {
      this.#lastNumber = number;
      const log = RedoFile.open(paths.redoLog(number), space);
      try {
        isRestoring ||= log.boot !== boot;
        if (isRestoring) await restoreLog(log.entries(), this.#deps);
        else await log.readIds();
      } catch (error) {
        log.close();
        throw error;
      }
      if (isRestoring) await log.discard(this.#deps);
      else this.#settler.take(log);
    }
  }

  /**
   * Makes durable what a file is from now on, and has it written by `write`, which may be under way already. Entries are in
   * the order of the calls. Throws `unavailable` when a log tells of the file that still cannot be settled.
   */
  async add(entry: RedoEntry, write: () => Promise<void>): Promise<void> {
    const added = new Deferred<void>();
    this.#waiting.push({ entry, write, added });
    this.#work();
    await added.promise;
  }

  /** Whether what a log says of a file would be made true again, so that changes of it have to go through the log. */
  covers(id: string): boolean {
    return this.#current?.ids.has(id) === true || this.#settler.covers(id);
  }

  /** Settles all logs; resolves when their room is given back, or kept because that failed. */
  async clear(): Promise<void> {
    const cleared = new Deferred<void>();
    this.#clearing.push(cleared);
    this.#work();
    await cleared.promise;
  }

  /** How many logs the disk did not let be settled. What they tell of is not lost, and changed only when they are. */
  get unsettledCount(): number {
    return this.#settler.keptCount;
  }

  /** Settles what could not be, in the background, if there is any: for when the disk may have become well. */
  tryAgain(): void {
    this.#settler.tryAgain();
  }

  /** Adds no more; resolves when nothing is under way. What is not settled is when the store opens next. */
  async close(): Promise<void> {
    await this.#working;
    await this.#settler.close();
    this.#current?.close();
  }

  #work(): void {
    if (!this.#isWorking) this.#working = this.#workAll();
  }

  async #workAll(): Promise<void> {
    this.#isWorking = true;
    while (this.#waiting.length + this.#clearing.length > 0) {
      const clearing = this.#clearing.splice(0);
      if (clearing.length > 0) await this.#settleAll();
      for (const cleared of clearing) cleared.resolve();
      const batch = this.#waiting.splice(0);
      if (batch.length === 0) continue;
      try {
        await this.#addBatch(batch);
      } catch (error) {
        for (const { added } of batch) added.reject(storageError('writing to the log of the store', error));
      }
    }
    // In the turn that has found nothing to wait: what comes after it begins anew.
    this.#isWorking = false;
  }

  async #addBatch(batch: readonly Waiting[]): Promise<void> {
    const pieces = batch.flatMap(({ entry }) => encodeEntry(entry));
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    this.#settler.tryAgain();
    const log = await this.#logWithRoom(bytes);
    if (log === undefined) {
      await this.#addWithoutLog(batch);
      return;
    }
    // Known before it is written: should that fail, more goes through the log than has to.
    for (const { entry, added } of batch) log.expect(entry.id, added.promise);
    await log.append(pieces);
    for (const waiting of batch) finish(waiting.write(), waiting);
  }

  /** Undefined when there is no room for it, or while old ones cannot be settled. */
  async #logWithRoom(bytes: number): Promise<RedoFile | undefined> {
    const { paths, space } = this.#deps;
    // Of a file in a log that is kept nothing newer than that may be in another one.
    if (this.#settler.failure !== undefined) return undefined;
    if (this.#current?.makeRoom(bytes) === true) return this.#current;
    if (this.#settler.count >= OLD_LOGS) await this.#settler.whenSettled();
    if (this.#settler.failure !== undefined) return undefined;
    const mostBytes = Math.min(this.#logBytes, space.lendableBytes / SHARE);
    const loan = space.lend(HEADER_BYTES + bytes);
    if (loan === undefined) return undefined;
    this.#lastNumber += 1;
    const next = await RedoFile.begin(this.#deps, { path: paths.redoLog(this.#lastNumber), loan, mostBytes });
    if (this.#current !== undefined) this.#settler.take(this.#current);
    this.#current = next;
    return next;
  }

  /** The files are written and synced, those of which no log tells that is there to stay. */
  async #addWithoutLog(batch: readonly Waiting[]): Promise<void> {
    this.#retireCurrent();
    if (this.#settler.failure === undefined) await this.#settler.whenSettled();
    const told = batch.filter(({ entry }) => this.#settler.covers(entry.id));
    if (told.length > 0) void this.#addWhenSettled(told);
    const writing = batch.filter((waiting) => !told.includes(waiting));
    if (writing.length === 0) return;
    const synced = new Deferred<void>();
    // Those whose files could not be written do not look at it.
    synced.promise.catch(forget);
    const written = writing.map(async (waiting) => {
      const work = waiting.write();
      finish(
        work.then(() => synced.promise),
        waiting,
      );
      await work.catch(forget);
    });
    await Promise.all(written);
    try {
      await syncSmallFiles(
        this.#deps,
        writing.map(({ entry }) => entry.id),
      );
      synced.resolve();
    } catch (error) {
      synced.reject(this.#settler.failure === undefined ? toShoalError(error) : failing(error));
    }
  }

  /** Adds them again when the logs that tell of their files are settled after all; refuses those of which one still does. */
  async #addWhenSettled(told: readonly Waiting[]): Promise<void> {
    await this.#settler.whenSettled();
    for (const waiting of told) {
      const { failure } = this.#settler;
      if (failure !== undefined && this.#settler.covers(waiting.entry.id)) waiting.added.reject(failing(failure.error));
      else this.#waiting.push(waiting);
    }
    this.#work();
  }

  async #settleAll(): Promise<void> {
    this.#retireCurrent();
    await this.#settler.whenSettled();
  }

  #retireCurrent(): void {
    if (this.#current !== undefined) this.#settler.take(this.#current);
    this.#current = undefined;
  }
}

function finish(work: Promise<void>, { added }: Waiting): void {
  work.then(added.resolve, added.reject);
}

function forget(): void {}

function failing(cause: unknown): ShoalError {
  return new ShoalError('unavailable', `the disk does not take small files: ${toShoalError(cause).message}`, {
    cause,
    hint: 'look at the disk and at what the log of the peer says of it; when it is well again, so is the peer',
  });
}
