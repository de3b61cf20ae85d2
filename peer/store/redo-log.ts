import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Deferred } from '../../common/deferred.js';
import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { storageError, writeFully } from './file-io.js';
import { encodeEntry, encodeHeader, HEADER_BYTES, type RedoEntry, readEntries, readHeader } from './redo-entry.js';
import { restoreLog } from './redo-restore.js';
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
 * A killed process needs none of this: what it wrote is in the page cache.
 */

/** Logs whose files wait to be synced; who adds more waits too, so that three logs are the most that the disk has. */
const OLD_LOGS = 2;
const ENTRIES_IN_TURN = 20;

const fdatasync = promisify(fs.fdatasync);

/** One log file. */
interface Log {
  readonly path: string;
  readonly fd: number;
  end: number;
  readonly ids: Set<string>;
}

interface Waiting {
  readonly entry: RedoEntry;
  readonly added: Deferred<void>;
}

/** What a {@link RedoLog} works with. */
export interface RedoLogDeps {
  readonly hasher: Pick<Hasher, 'sync'>;
  readonly syncer: Syncer;
  readonly paths: StorePaths;
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
  #adding: Promise<void> = Promise.resolve();
  #isAdding = false;
  #settling: Promise<void> = Promise.resolve();

  /** `logBytes` is how large a log may become. */
  constructor(deps: RedoLogDeps, options: { readonly logBytes: number }) {
    this.#deps = deps;
    this.#logBytes = options.logBytes;
  }

  /**
   * Looks at what an earlier process left, before anybody reads the files of the store: logs of before a crash of the
   * machine are written out again, others are taken over. Throws what the disk says.
   */
  async open(): Promise<void> {
    const { paths, boot } = this.#deps;
    const numbers = fs.readdirSync(paths.redo).map(Number).filter(Number.isSafeInteger);
    for (const number of numbers.sort((a, b) => a - b)) {
      const path = paths.redoLog(number);
      this.#lastNumber = number;
      const fd = fs.openSync(path, 'r');
      try {
        if (readHeader(fd) === boot) {
          this.#settle({ path, fd, end: HEADER_BYTES, ids: await idsIn(fd) });
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

  /** Notes what a file is from now on; durable when it resolves. Entries are in the order of the calls. */
  add(entry: RedoEntry): Promise<void> {
    const waiting = { entry, added: new Deferred<void>() };
    this.#waiting.push(waiting);
    if (!this.#isAdding) this.#adding = this.#addAll();
    return waiting.added.promise;
  }

  /** Whether what a log says of a file would be made true again, so that changes of it have to go through the log. */
  covers(id: string): boolean {
    return this.#current?.ids.has(id) === true || [...this.#old].some(({ ids }) => ids.has(id));
  }

  /** Adds no more; resolves when nothing is under way. What is not settled is when the store opens next. */
  async close(): Promise<void> {
    await this.#adding;
    await this.#settling;
    for (const log of [this.#current, ...this.#old]) if (log !== undefined) fs.closeSync(log.fd);
  }

  async #addAll(): Promise<void> {
    this.#isAdding = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#addBatch(batch.map(({ entry }) => entry));
        for (const { added } of batch) added.resolve();
      } catch (error) {
        for (const { added } of batch) added.reject(storageError('writing to the log of the store', error));
      }
    }
    // In the turn that has found nothing to wait: what comes after it begins anew.
    this.#isAdding = false;
  }

  async #addBatch(entries: readonly RedoEntry[]): Promise<void> {
    const log = await this.#logWithRoom();
    const pieces = entries.flatMap(encodeEntry);
    // Known before it is written: should that fail, more goes through the log than has to.
    for (const { id } of entries) log.ids.add(id);
    await writeFully(log.fd, pieces, log.end);
    await fdatasync(log.fd);
    // Only now: what was not written whole is written over.
    log.end += pieces.reduce((sum, { length }) => sum + length, 0);
  }

  async #logWithRoom(): Promise<Log> {
    if (this.#current !== undefined && this.#current.end < this.#logBytes) return this.#current;
    if (this.#old.size >= OLD_LOGS) await this.#settling;
    const next = await this.#begin();
    if (this.#current !== undefined) this.#settle(this.#current);
    this.#current = next;
    return next;
  }

  async #begin(): Promise<Log> {
    const { paths, syncer, boot } = this.#deps;
    this.#lastNumber += 1;
    const path = paths.redoLog(this.#lastNumber);
    const fd = fs.openSync(path, 'wx+', 0o600);
    try {
      await writeFully(fd, [encodeHeader(boot)], 0);
      await syncer.directory(paths.redo);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    return { path, fd, end: HEADER_BYTES, ids: new Set() };
  }

  /** Makes the files of a log durable and removes it; what fails is tried again when the store opens next. */
  #settle(log: Log): void {
    this.#old.add(log);
    this.#settling = this.#settling.then(async () => {
      const { hasher, paths, closing } = this.#deps;
      const ids = [...log.ids];
      const folders = new Set(ids.map((id) => paths.folder(id)));
      try {
        await hasher.sync({ paths: [...ids.flatMap((id) => [paths.data(id), paths.info(id)]), ...folders] }, closing);
        await this.#discard(log.path);
        this.#old.delete(log);
        fs.closeSync(log.fd);
      } catch (error) {
        if (!closing.aborted) this.#deps.log.error({ error, path: log.path }, 'could not settle a log of the store');
      }
    });
  }

  /** Removes a log, durably: one that came back later would undo what happened since. */
  async #discard(path: string): Promise<void> {
    fs.rmSync(path, { force: true });
    await this.#deps.syncer.directory(this.#deps.paths.redo);
  }
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
