import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'libsql';
import { ShoalError } from '../../common/errors.js';
import { MIGRATIONS } from './embedded-schema.js';
import { LogSync } from './log-sync.js';

/*
 * One SQLite file in WAL mode, one connection, locked for this process alone. Calls are synchronous and short.
 *
 * How a write becomes durable: SQLite runs with synchronous=NORMAL, so a commit only writes to the log; what has to
 * survive a power cut waits for `durable()`, which syncs the log from a thread of the pool. That is what
 * synchronous=FULL does inside the commit, but here neither other requests nor the event loop wait for the disk, and
 * writers that come together share one sync. Soft state does not call it: it survives the death of the process, not of
 * the machine.
 */

/** What can be bound to a statement. (libsql ends the process when it is given anything else, a boolean say.) */
export type SqlValue = string | number | null | Uint8Array;

/** The file. Failures of SQLite are {@link ShoalError}s: `unavailable` when another process has it open. */
export class EmbeddedDatabase {
  readonly #path: string;
  readonly #logSync: LogSync;
  readonly #statements = new Map<string, Database.Statement>();
  #database: Database.Database | undefined;

  constructor(deps: { readonly logSync?: LogSync }, options: { readonly path: string }) {
    this.#path = options.path;
    this.#logSync = deps.logSync ?? new LogSync(`${options.path}-wal`);
  }

  /** Opens or makes the file and brings its tables up to date. Idempotent. */
  async open(): Promise<void> {
    if (this.#database !== undefined) return;
    mkdirSync(dirname(this.#path), { recursive: true });
    const database = guard(this.#path, () => new Database(this.#path));
    try {
      guard(this.#path, () => prepareFile(database, this.#path));
      await this.#logSync.open();
    } catch (error) {
      database.close();
      throw error;
    }
    this.#database = database;
  }

  /** Waits for writes that wait for the disk, and closes. Idempotent. */
  async close(): Promise<void> {
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

  /** The first row, if any. */
  get<T>(sql: string, ...values: readonly SqlValue[]): T | undefined {
    // Not libsql's own get(): it leaves the statement open, and adds a column to the row.
    return this.all<T>(sql, ...values)[0];
  }

  /** How many rows were changed. */
  run(sql: string, ...values: readonly SqlValue[]): number {
    return guard(this.#path, () => this.#statement(sql).run(...values).changes);
  }

  /** Runs `work` as one transaction; it is undone when `work` throws. */
  transaction<T>(work: () => T): T {
    const database = this.#opened();
    guard(this.#path, () => database.exec('BEGIN IMMEDIATE'));
    try {
      const result = work();
      guard(this.#path, () => database.exec('COMMIT'));
      return result;
    } catch (error) {
      // SQLite itself rolls back after some failures, a full disk for one.
      if (database.inTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Resolves when everything written so far is on the disk. */
  async durable(): Promise<void> {
    await this.#logSync.sync();
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

function prepareFile(database: Database.Database, path: string): void {
  // Before the log is first used: the lock then lasts until close, and a second process is refused here.
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = NORMAL');
  database.exec('PRAGMA cache_size = -65536');
  database.exec('PRAGMA journal_size_limit = 67108864');
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
  if (error instanceof ShoalError || !(error instanceof Error)) return error;
  const code = String((error as NodeJS.ErrnoException).code);
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
    return new ShoalError('corrupt', `the store ${path} is damaged: ${error.message}`, options);
  }
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_IOERR') || code.startsWith('SQLITE_READONLY')) {
    return new ShoalError('unavailable', `the store ${path} cannot be used: ${error.message}`, options);
  }
  return new ShoalError('internal', `the store ${path} failed: ${error.message}`, options);
}
