import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Deferred } from '../../common/deferred.js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { storageError, writeFully, writeFullySync } from './file-io.js';
import { encodeEntry, encodeHeader, HEADER_BYTES, type RedoEntry, readEntries, readHeader } from './redo-entry.js';
import { restoreLog } from './redo-restore.js';
import type { Loan, Space } from './space.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

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
 * one cannot be settled, all later ones stay too, and when there are three, what comes is synced by itself: the next start
 * writes again what they have. The files in them cannot be changed until then.
 *
 * A killed process needs none of this: what it wrote is in the page cache.
 */

/** Logs whose files wait to be synced; who adds more waits too, so that three logs are the most that the disk has. */
const OLD_LOGS = 2;
/** Of what could be lent, a log takes no more than one in so many: there are three, and files need some. */
const SHARE = 4;
const ENTRIES_IN_TURN = 20;
/** In the place of the boot, in the header of a log that could not be settled. */
const UNSETTLED = 'unsettled';

const fdatasync = promisify(fs.fdatasync);

/** One log file. */
interface Log {
  readonly path: string;
  readonly fd: number;
  readonly loan: Loan;
  readonly mostBytes: number;
  end: number;
  readonly ids: Set<string>;
  /** What is being added: its files are not written before that is done. */
  readonly adding: Set<Promise<void>>;
}

interface Waiting {
  readonly entry: RedoEntry;
  readonly write: () => Promise<void>;
  readonly added: Deferred<void>;
}

/** What a {@link RedoLog} works with. */
export interface RedoLogDeps {
  readonly hasher: Pick<Hasher, 'sync'>;
  readonly syncer: Syncer;
  readonly paths: StorePaths;
  readonly space: Pick<Space, 'lend' | 'adoptLoan' | 'lendableBytes'>;
  readonly log: Logger;
  /** Names the boot of the machine. */
  readonly boot: string;
  /** Fires when the store closes. */
  readonly closing: AbortSignal;
}

/** See the head of this file. */
export class RedoLog {
  readonly #deps: RedoLogDeps;
  readonly #logBytes: number;
  #current: Log | undefined;
  readonly #old = new Set<Log>();
  #lastNumber = 0;
  #waiting: Waiting[] = [];
  #clearing: Deferred<void>[] = [];
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #settling: Promise<void> = Promise.resolve();
  /** Why a log could not be settled. */
  #failure: { readonly error: unknown } | undefined;

  /** `logBytes` is how large a log may become. */
  constructor(deps: RedoLogDeps, options: { readonly logBytes: number }) {
    this.#deps = deps;
    this.#logBytes = options.logBytes;
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
      const path = paths.redoLog(number);
      this.#lastNumber = number;
      const fd = fs.openSync(path, 'r+');
      try {
        isRestoring ||= readHeader(fd) !== boot;
        if (!isRestoring) {
          const loan = space.adoptLoan(fs.fstatSync(fd).size);
          const rest = { loan, mostBytes: 0, end: HEADER_BYTES, adding: new Set<Promise<void>>() };
          this.#settle({ path, fd, ...rest, ids: await idsIn(fd) });
          continue;
        }
        await restoreLog(fd, this.#deps);
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
      fs.closeSync(fd);
      await this.#discard(path);
    }
  }

  /**
   * Makes durable what a file is from now on, and has it written by `write`, which may be under way already. Entries are in
   * the order of the calls. Throws `unavailable` when an old log tells of the file and there can be no new one.
   */
  async add(entry: RedoEntry, write: () => Promise<void>): Promise<void> {
    const added = new Deferred<void>();
    this.#waiting.push({ entry, write, added });
    this.#work();
    await added.promise;
  }

  /** Whether what a log says of a file would be made true again, so that changes of it have to go through the log. */
  covers(id: string): boolean {
    return this.#current?.ids.has(id) === true || [...this.#old].some(({ ids }) => ids.has(id));
  }

  /** Settles all logs; resolves when their room is given back, or kept because that failed. */
  async clear(): Promise<void> {
    const cleared = new Deferred<void>();
    this.#clearing.push(cleared);
    this.#work();
    await cleared.promise;
  }

  /** Adds no more; resolves when nothing is under way. What is not settled is when the store opens next. */
  async close(): Promise<void> {
    await this.#working;
    await this.#settling;
    for (const log of [this.#current, ...this.#old]) if (log !== undefined) fs.closeSync(log.fd);
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
    const log = await this.#logWithRoom(bytes);
    if (log === undefined) {
      await this.#settleAll();
      await this.#addWithoutLog(batch);
      return;
    }
    // Known before it is written: should that fail, more goes through the log than has to.
    for (const { entry, added } of batch) {
      log.ids.add(entry.id);
      const isOver = added.promise.then(forget, forget).then(() => void log.adding.delete(isOver));
      log.adding.add(isOver);
    }
    await writeFully(log.fd, pieces, log.end);
    await fdatasync(log.fd);
    log.loan.landAll();
    // Only now: what was not written whole is written over.
    log.end += bytes;
    for (const waiting of batch) finish(waiting.write(), waiting);
  }

  /** Undefined when there is no room for it, or when no more logs may wait. */
  async #logWithRoom(bytes: number): Promise<Log | undefined> {
    const current = this.#current;
    if (current !== undefined && current.end < current.mostBytes && current.loan.grow(bytes)) return current;
    if (this.#old.size >= OLD_LOGS) await this.#settling;
    if (this.#old.size >= OLD_LOGS) return undefined;
    const mostBytes = Math.min(this.#logBytes, this.#deps.space.lendableBytes / SHARE);
    const loan = this.#deps.space.lend(HEADER_BYTES + bytes);
    if (loan === undefined) return undefined;
    const next = await this.#begin(loan, mostBytes);
    if (this.#current !== undefined) this.#settle(this.#current);
    this.#current = next;
    return next;
  }

  async #begin(loan: Loan, mostBytes: number): Promise<Log> {
    const { paths, syncer, boot } = this.#deps;
    this.#lastNumber += 1;
    const path = paths.redoLog(this.#lastNumber);
    let fd: number | undefined;
    try {
      fd = fs.openSync(path, 'wx+', 0o600);
      await writeFully(fd, [encodeHeader(boot)], 0);
      await syncer.directory(paths.redo);
    } catch (error) {
      if (fd !== undefined) fs.closeSync(fd);
      fs.rmSync(path, { force: true });
      loan.release();
      throw error;
    }
    return { path, fd, loan, mostBytes, end: HEADER_BYTES, ids: new Set(), adding: new Set() };
  }

  /** The files are written and synced, those of which no log tells that is there to stay. */
  async #addWithoutLog(batch: readonly Waiting[]): Promise<void> {
    const refused = batch.filter(({ entry }) => this.covers(entry.id));
    for (const { added } of refused) added.reject(failing(this.#failure?.error));
    const writing = batch.filter((waiting) => !refused.includes(waiting));
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
      await this.#sync(writing.map(({ entry }) => entry.id));
      synced.resolve();
    } catch (error) {
      synced.reject(this.#failure === undefined ? toShoalError(error) : failing(error));
    }
  }

  /** Syncs files and their names. */
  async #sync(ids: readonly string[]): Promise<void> {
    const { hasher, paths, closing } = this.#deps;
    const folders = new Set(ids.map((id) => paths.folder(id)));
    await hasher.sync({ paths: [...ids.flatMap((id) => [paths.data(id), paths.info(id)]), ...folders] }, closing);
  }

  async #settleAll(): Promise<void> {
    if (this.#current !== undefined) this.#settle(this.#current);
    this.#current = undefined;
    await this.#settling;
  }

  /** Makes the files of a log durable and removes it; what fails is put right when the store opens next. */
  #settle(log: Log): void {
    this.#old.add(log);
    this.#settling = this.#settling.then(async () => {
      await Promise.all(log.adding);
      if (this.#failure !== undefined) {
        this.#keep(log);
        return;
      }
      try {
        await this.#sync([...log.ids]);
        await this.#discard(log.path);
        this.#old.delete(log);
        fs.closeSync(log.fd);
        log.loan.release();
      } catch (error) {
        if (this.#deps.closing.aborted) {
          log.loan.keep();
          return;
        }
        this.#failure = { error };
        this.#deps.log.error({ error, path: log.path }, 'could not settle a log of the store');
        this.#keep(log);
      }
    });
  }

  /**
   * The kernel tells once of what it could not write, and another sync of the same files may well succeed: only writing
   * them again is sure, which can be done when nobody reads them.
   */
  #keep(log: Log): void {
    log.loan.keep();
    try {
      writeFullySync(log.fd, encodeHeader(UNSETTLED), 0);
    } catch (cause) {
      this.#deps.log.error({ error: cause, path: log.path }, 'could not note that a log of the store is not settled');
    }
  }

  /** Removes a log, durably: one that came back later would undo what happened since. */
  async #discard(path: string): Promise<void> {
    fs.rmSync(path, { force: true });
    await this.#deps.syncer.directory(this.#deps.paths.redo);
  }
}

function finish(work: Promise<void>, { added }: Waiting): void {
  work.then(added.resolve, added.reject);
}

function forget(): void {}

function failing(cause: unknown): ShoalError {
  return new ShoalError('unavailable', `the disk does not take small files: ${toShoalError(cause).message}`, {
    cause,
    hint: 'look at the disk and at what the log of the peer says of it, and restart the peer when it is well',
  });
}

/** Of which files a log tells. */
async function idsIn(fd: number): Promise<Set<string>> {
  const ids = new Set<string>();
  let entries = 0;
  for (const { id } of readEntries(fd)) {
    ids.add(id);
    entries += 1;
    if (entries % ENTRIES_IN_TURN === 0) await turn();
  }
  return ids;
}
