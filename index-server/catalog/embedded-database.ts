import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { ShoalError } from '../../common/errors.js';
import { MIGRATIONS } from './embedded-schema.js';
import type { LogSync } from './log-sync.js';

/*
 * One SQLite file in WAL mode, one connection, locked for this process alone. Calls are synchronous and short.
 *
 * How a write becomes durable: SQLite runs with synchronous=NORMAL, so a commit only writes to the log; `write()` then
 * syncs the log from a thread of the pool before it resolves. That is what synchronous=FULL does inside the commit, but
 * here neither other requests nor the event loop wait for the disk. Writers that come in the same turn share a
 * transaction, so that a page which all of them change goes to the log once, and those that come together share a sync.
 * Soft state goes by `transaction()` and is not synced: it survives the death of the process, not of the machine.
 */

interface QueuedWrite {
  readonly work: () => unknown;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** What whoever reads waits for, against what writing costs. */
export interface WritePace {
  /** How long writers share a transaction, in milliseconds. */
  readonly transactionMs: number;
  /** Pages of the log (of 4 KiB) after which they are folded into the file: many changes of a page make one of them. */
  readonly logPages: number;
  /** Memory for pages of the file. */
  readonly cacheMiB: number;
}

/** Of a server: nobody waits long. */
export const SERVING: WritePace = { transactionMs: 2, logPages: 1000, cacheMiB: 64 };
/** Of a program that fills a store and lets nobody read meanwhile. */
export const FILLING: WritePace = { transactionMs: 250, logPages: 64_000, cacheMiB: 512 };

/** What can be bound to a statement. (libsql ends the process when it is given anything else, a boolean say.) */
export type SqlValue = string | number | null | Uint8Array;

/** The file. Failures of SQLite are {@link ShoalError}s: `unavailable` when another process has it open. */
export class EmbeddedDatabase {
  readonly #path: string;
  readonly #pace: WritePace;
  readonly #logSync: LogSync;
  readonly #statements = new Map<string, Database.Statement>();
  #database: Database.Database | undefined;
  #queue: QueuedWrite[] = [];
  readonly #writing = new Set<Promise<unknown>>();
  readonly #atCommit = new Map<(items: readonly never[]) => void, unknown[]>();

  /** `logSync` is of the file at `path` with `-wal` at its end. */
  constructor(deps: { readonly logSync: LogSync }, options: { readonly path: string; readonly pace: WritePace }) {
    this.#path = options.path;
    this.#pace = options.pace;
    this.#logSync = deps.logSync;
  }

  /** Opens or makes the file and brings its tables up to date. Idempotent. */
  async open(): Promise<void> {
    if (this.#database !== undefined) return;
    mkdirSync(dirname(this.#path), { recursive: true });
    const database = guard(this.#path, () => new Database(this.#path));
    try {
      guard(this.#path, () => prepareFile(database, this.#path, this.#pace));
      await this.#logSync.open();
    } catch (error) {
      database.close();
      throw error;
    }
    this.#database = database;
  }

  /** Waits for writes that wait for the disk, and closes. Idempotent. */
  async close(): Promise<void> {
    // Their failures are told to those who wrote.
    await Promise.allSettled(this.#writing);
    const database = this.#database;
    if (database === undefined) return;
    this.#database = undefined;
    this.#statements.clear();
    await this.#logSync.close();
    guard(this.#path, () => {
      releaseFile(database);
      database.close();
    });
  }

  /** Rows as objects. */
  all<T>(sql: string, ...values: readonly SqlValue[]): T[] {
    return guard(this.#path, () => this.#statement(sql).all(...values) as T[]);
  }

  /** The first row, if any, with a column `_metadata` of libsql's besides. Much faster than `all()` for one row. */
  get<T>(sql: string, ...values: readonly SqlValue[]): T | undefined {
    return guard(this.#path, () => this.#statement(sql).get(...values) as T | undefined);
  }

  /** How many rows were changed. */
  run(sql: string, ...values: readonly SqlValue[]): number {
    return guard(this.#path, () => this.#statement(sql).run(...values).changes);
  }

  /** Runs `work` at once as one transaction; it is undone when `work` throws. */
  transaction<T>(work: () => T): T {
    this.#exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      for (const [all, items] of this.#atCommit) all(items as never[]);
      this.#atCommit.clear();
      this.#exec('COMMIT');
      return result;
    } catch (error) {
      this.#atCommit.clear();
      // SQLite itself rolls back after some failures, a full disk for one.
      if (this.#opened().inTransaction) this.#exec('ROLLBACK');
      throw error;
    }
  }

  /**
   * Within a transaction: has `all` called once, right before it is committed, with this and whatever else the transaction
   * has for it. For what is cheaper all at once.
   */
  atCommit<T>(all: (items: readonly T[]) => void, item: T): void {
    const items = this.#atCommit.get(all);
    if (items === undefined) this.#atCommit.set(all, [item]);
    else items.push(item);
  }

  /**
   * Runs `work` as a transaction, its own or one shared with other writers, in a later turn of the event loop. Resolves
   * when it is on the disk; when `work` throws, it is undone, and no other writer is touched. It may run twice.
   */
  async write<T>(work: () => T): Promise<T> {
    const writing = this.#commit(work).then(async (result) => {
      await this.#logSync.sync();
      return result;
    });
    this.#writing.add(writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  #commit<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as QueuedWrite['resolve'], reject });
      if (this.#queue.length === 1) setImmediate(() => this.#flush());
    });
  }

  /** As many as fit into a short transaction; before the rest come, others have their turn. */
  #flush(): void {
    const queue = this.#queue;
    const results: unknown[] = [];
    let done: number;
    try {
      this.transaction(() => {
        const untilMs = performance.now() + this.#pace.transactionMs;
        for (const { work } of queue) {
          results.push(work());
          if (performance.now() >= untilMs) break;
        }
      });
      done = results.length;
      for (const [index, result] of results.entries()) queue[index]?.resolve(result);
    } catch {
      // All are undone; alone, each succeeds or fails for itself. The last one is where it stopped.
      done = Math.min(results.length + 1, queue.length);
      for (const write of queue.slice(0, done)) this.#flushOne(write);
    }
    this.#queue = this.#queue.slice(done);
    if (this.#queue.length > 0) setImmediate(() => this.#flush());
  }

  #flushOne({ work, resolve, reject }: QueuedWrite): void {
    try {
      resolve(this.transaction(work));
    } catch (error) {
      reject(error);
    }
  }

  #exec(sql: string): void {
    guard(this.#path, () => this.#opened().exec(sql));
  }

  #statement(sql: string): Database.Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#opened().prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #opened(): Database.Database {
    if (this.#database === undefined) throw new ShoalError('unavailable', 'the store is not open');
    return this.#database;
  }
}

function prepareFile(database: Database.Database, path: string, { logPages, cacheMiB }: WritePace): void {
  // Before the log is first used: the lock then lasts until close, and a second process is refused here.
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = NORMAL');
  database.exec(`PRAGMA cache_size = -${cacheMiB * 1024}`);
  database.exec('PRAGMA journal_size_limit = 67108864');
  database.exec(`PRAGMA wal_autocheckpoint = ${logPages}`);
  database.exec('BEGIN IMMEDIATE');
  const [version] = database.prepare('PRAGMA user_version').all() as { user_version: number }[];
  const from = version?.user_version ?? 0;
  if (from > MIGRATIONS.length) {
    throw new ShoalError('conflict', `the store ${path} was made by a newer version of Shoal (${from})`, {
      hint: 'start that version, or use another store',
    });
  }
  for (const migration of MIGRATIONS.slice(from)) database.exec(migration);
  // A write even when nothing changed: it makes the log file, which is opened next.
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  database.exec('COMMIT');
}

/**
 * libsql's close() only lets go of the file once all its statements have been collected as garbage. So the lock is given
 * up by hand, which SQLite does on leaving WAL; that also folds the log into the file.
 */
function releaseFile(database: Database.Database): void {
  database.exec('PRAGMA journal_mode = DELETE');
  database.exec('PRAGMA locking_mode = NORMAL');
  database.prepare('SELECT count(*) FROM users').all();
}

function guard<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storeError(path, error);
  }
}

function storeError(path: string, error: unknown): unknown {
  if (error instanceof ShoalError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const options = { cause: error };
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new ShoalError('unavailable', `the store ${path} is in use by another process`, {
      ...options,
      hint: 'one index server at a time can use an embedded store; several can share a MongoDB',
    });
  }
  if (code.startsWith('SQLITE_FULL'))
    return new ShoalError('exhausted', `no space left for the store ${path}`, options);
  if (code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')) {
    return new ShoalError('corrupt', `the store ${path} is damaged: ${message}`, options);
  }
  // Without a code it is libsql itself that cannot open the file.
  if (
    code === '' ||
    code.startsWith('SQLITE_CANTOPEN') ||
    code.startsWith('SQLITE_IOERR') ||
    code.startsWith('SQLITE_READONLY')
  ) {
    return new ShoalError('unavailable', `the store ${path} cannot be used: ${message}`, options);
  }
  return new ShoalError('internal', `the store ${path} failed: ${message}`, options);
}
