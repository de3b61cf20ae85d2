import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'libsql';
import { EmbeddedDatabase, SERVING, type SqlValue } from './catalog/embedded-database.js';
import { LogSync, type SyncFile } from './catalog/log-sync.js';
import type { Catalog } from './catalog.js';
import { embeddedCatalog } from './embedded-catalog.js';
import { openCatalog } from './open-catalog.js';
import { describeCatalog } from './testing/catalog-contract.js';
import { fileRow, idOf, listedOf, peerRow, publish } from './testing/catalog-rows.js';
import { useEverything } from './testing/use-everything.js';

const ANN = { userId: 'id-of-ann' };

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-catalog-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the embedded catalog', () => {
  describeCatalog({
    isShared: false,
    clear: () => rm(join(folder, 'contract'), { recursive: true, force: true }),
    open: () => openCatalog(`embedded:${join(folder, 'contract', 'index.db')}`),
  });
});

describe('the file of the embedded catalog', () => {
  const opened: { close(): Promise<void> }[] = [];
  const open = async (path: string): Promise<Catalog> => {
    const catalog = await openCatalog(`embedded:${path}`);
    opened.push(catalog);
    return catalog;
  };
  const openOn = async <T extends EmbeddedDatabase>(database: T): Promise<Catalog> => {
    const catalog = embeddedCatalog(database);
    await catalog.open();
    opened.push(catalog);
    return catalog;
  };

  afterEach(async () => {
    for (const catalog of opened.splice(0)) await catalog.close();
  });

  test('holds after a crash what was acknowledged', async () => {
    const catalog = await open(join(folder, 'crash', 'index.db'));
    const { row } = await publish(catalog);
    await catalog.putPeer(peerRow());
    // What is in the files while the process still runs is what it leaves when it is killed.
    await cp(join(folder, 'crash'), join(folder, 'after crash'), { recursive: true });
    const after = await open(join(folder, 'after crash', 'index.db'));
    expect((await after.list({}, ANN, { limit: 9 })).rows).toEqual([listedOf(row)]);
    expect(await after.peer('peer-0')).toEqual(peerRow());
  });

  test('is refused to a second index server while the first one runs', async () => {
    const path = join(folder, 'taken.db');
    const holder = await holdInOtherProcess(path);
    await expect(open(path)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('another process'),
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const catalog = await open(path);
    await expect(open(path)).rejects.toMatchObject({ code: 'unavailable' });
    await publish(catalog);
  });

  test('is refused when a newer version made it, or something else', async () => {
    const path = join(folder, 'newer.db');
    const database = databaseAt(path);
    await database.open();
    database.run('PRAGMA user_version = 1000');
    await database.close();
    await expect(open(path)).rejects.toMatchObject({ code: 'conflict' });
    const other = join(folder, 'other.db');
    await writeFile(other, 'x'.repeat(10_000));
    await expect(open(other)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(open(folder)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('opens and closes any number of times', async () => {
    const catalog = await open(join(folder, 'again.db'));
    await catalog.open();
    await publish(catalog);
    await catalog.close();
    await catalog.close();
    await expect(catalog.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await catalog.open();
    expect((await catalog.counts()).files).toBe(1);
  });

  test('is not said to hold what could not be written to the disk', async () => {
    const cause = new Error('input/output error');
    const disk: SyncFile = { datasync: () => Promise.reject(cause), close: async () => {} };
    const logSync = new LogSync('the log', async () => disk);
    const catalog = await openOn(
      new EmbeddedDatabase({ logSync }, { path: join(folder, 'broken disk.db'), pace: SERVING }),
    );
    await expect(publish(catalog)).rejects.toMatchObject({ code: 'unavailable', cause });
    await catalog.putPeer(peerRow());
  });

  test('takes what others write together with a write that fails', async () => {
    const database = databaseAt(join(folder, 'together.db'));
    await openOn(database);
    const insert = (id: string) => database.write(() => database.run('INSERT INTO gone_ids VALUES (?, 1)', id));
    const results = await Promise.allSettled([insert('a'), insert('b'), insert('a'), insert('c')]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(database.all('SELECT id FROM gone_ids')).toHaveLength(3);
  });

  test('writes together what a transaction gathered, and nothing of one that was undone', async () => {
    const database = databaseAt(join(folder, 'gathered.db'));
    await openOn(database);
    const batches: (readonly string[])[] = [];
    const all = (ids: readonly string[]) => {
      batches.push(ids);
      for (const id of ids) database.run('INSERT INTO gone_ids VALUES (?, 1)', id);
    };
    const gather = (id: string, isGood = true) =>
      database.write(() => {
        database.atCommit(all, id);
        if (!isGood) throw new Error('no');
      });
    await Promise.all([gather('a'), gather('b')]);
    expect(batches.splice(0)).toEqual([['a', 'b']]);
    await Promise.allSettled([gather('c'), gather('d', false), gather('e')]);
    expect(batches).toEqual([['c'], ['e']]);
    expect(database.all<{ id: string }>('SELECT id FROM gone_ids').map(({ id }) => id)).toEqual(['a', 'b', 'c', 'e']);
  });

  test('lets others in between writers who would make a transaction long', async () => {
    const path = join(folder, 'turns.db');
    const pace = { ...SERVING, transactionMs: 0 };
    const database = new EmbeddedDatabase({ logSync: logSyncOf(path) }, { path, pace });
    await openOn(database);
    const writes = ['a', 'b', 'c'].map((id) =>
      database.write(() => database.run('INSERT INTO gone_ids VALUES (?, 1)', id)),
    );
    const seen: number[] = [];
    for (const _ of writes) {
      await nextTurn();
      seen.push(database.all('SELECT id FROM gone_ids').length);
    }
    expect(seen).toEqual([1, 2, 3]);
    await Promise.all(writes);
  });

  test('leaps over what has one of two tags and not the other', async () => {
    const path = join(folder, 'leaps.db');
    const database = new RecordingDatabase({ logSync: logSyncOf(path) }, { path, pace: SERVING });
    const catalog = await openOn(database);
    const rowsOf = (tag: string) =>
      Array.from({ length: 3000 }, (_, n) =>
        fileRow({ name: `${tag}/${n}`, id: idOf(`${tag} ${n}`), tags: { [tag]: '1' } }),
      );
    const both = fileRow({ name: 'c', id: idOf('c'), tags: { a: '1', b: '1' } });
    await catalog.restore([...rowsOf('a'), ...rowsOf('b'), both]);
    database.calls.length = 0;
    expect((await catalog.list({ tags: ['a=1', 'b=1'] }, ANN, { limit: 9 })).rows).toEqual([listedOf(both)]);
    const slices = database.calls.filter((sql) => sql.includes('json_group_array'));
    expect(slices.length).toBeLessThanOrEqual(2);
  });

  test('tells the records of more ids than are read at once', async () => {
    const catalog = await open(join(folder, 'records.db'));
    const names = Array.from({ length: 450 }, (_, n) => `name ${n}`);
    await catalog.restore(names.map((name) => fileRow({ name, id: idOf(name) })));
    const records = await catalog.recordsWithIds(names.map(idOf), 1);
    expect(names.map((name) => records.get(idOf(name)))).toEqual(names.map((name) => [`signed ${name} 1`]));
  });

  test('is never read through from end to end for a query', async () => {
    const path = join(folder, 'plans.db');
    const database = new RecordingDatabase({ logSync: logSyncOf(path) }, { path, pace: SERVING });
    const catalog = await openOn(database);
    await useEverything(catalog);
    await catalog.close();
    const plans = [...database.statements].map(([sql, values]) => ({ sql, steps: planOf(path, sql, values) }));
    // What a statement was given or has found itself may be read through, and accounts are few and counted seldom.
    const isThorough = /SCAN (?!users USING COVERING INDEX|CONSTANT|\(subquery|slice|\w+ VIRTUAL TABLE)|TEMP B-TREE/;
    expect(plans.filter(({ steps }) => isThorough.test(steps))).toEqual([]);
    expect(plans.length).toBeGreaterThan(40);
  });
});

/** Remembers each statement, with the values it was last run with, and the order of calls. */
class RecordingDatabase extends EmbeddedDatabase {
  readonly statements = new Map<string, readonly SqlValue[]>();
  readonly calls: string[] = [];

  override all<T>(sql: string, ...values: readonly SqlValue[]): T[] {
    this.#note(sql, values);
    return super.all(sql, ...values);
  }

  override run(sql: string, ...values: readonly SqlValue[]): number {
    this.#note(sql, values);
    return super.run(sql, ...values);
  }

  override get<T>(sql: string, ...values: readonly SqlValue[]): T | undefined {
    this.#note(sql, values);
    return super.get(sql, ...values);
  }

  #note(sql: string, values: readonly SqlValue[]): void {
    this.calls.push(sql);
    this.statements.set(sql, values);
  }
}

/** On a connection of its own: libsql keeps one on which a plan was asked for in a transaction. */
function planOf(path: string, sql: string, values: readonly SqlValue[]): string {
  const database = new Database(path);
  const steps = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[];
  database.close();
  return steps.map(({ detail }) => detail).join('; ');
}

function logSyncOf(path: string): LogSync {
  return new LogSync(`${path}-wal`);
}

function databaseAt(path: string): EmbeddedDatabase {
  return new EmbeddedDatabase({ logSync: logSyncOf(path) }, { path, pace: SERVING });
}

/** Another process that has the file as an index server has it. */
async function holdInOtherProcess(path: string): Promise<ChildProcess> {
  const script = `
    const database = new (require('libsql'))(process.argv[1]);
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT');
    process.stdout.write('ready');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout ?? child, 'data');
  return child;
}
