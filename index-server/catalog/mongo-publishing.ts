import { ShoalError } from '../../common/errors.js';
import type { FileRow, PublishingCatalog, TombstoneRow } from '../catalog.js';
import { loadName, nameKey, rememberIds, saveName } from './mongo-names.js';
import type { MongoStore } from './mongo-store.js';
import * as names from './name-history.js';
import { NameLocks } from './name-locks.js';

/** What a change makes of a history, and what its caller gets. Without `change` nothing is written. */
interface Outcome<T> {
  readonly change?: names.HistoryChange;
  readonly result: T;
}

/** Each failed attempt is another server's success, so this many in a row mean that something else is wrong. */
const ATTEMPTS_MAX = 200;
/** Names that are changed at a time when many are taken back. */
const BATCH = 32;

/** Changes of files in MongoDB; how they stay apart is told in mongo-names.ts. */
export function mongoPublishing(store: MongoStore): PublishingCatalog {
  const locks = new NameLocks();

  const change = <T>(
    { ownerId, name }: Pick<FileRow, 'ownerId' | 'name'>,
    make: (history: names.NameHistory) => Outcome<T> | Promise<Outcome<T>>,
  ): Promise<T> => {
    const key = nameKey(ownerId, name);
    // The lock spares writers of this process from undoing each other's attempts.
    return locks.run(key, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
        const { history, revision } = await loadName(store, key);
        const { change: made, result } = await make(history);
        if (made === undefined || (await saveName(store, key, { revision, change: made }))) return result;
      }
      throw new ShoalError('unavailable', `'${name}' is being changed by too many at once`);
    });
  };
  const remove = (tombstone: TombstoneRow, how: typeof names.removeAll): Promise<readonly FileRow[]> =>
    change(tombstone, (history) => {
      const made = how(history, tombstone);
      return { ...(made.removed.length > 0 && { change: made }), result: made.removed };
    });

  return {
    publish: ({ ownerId, name, id, keepVersions }, make) =>
      change({ ownerId, name }, async (history) => {
        const version = names.numberFor(history, id);
        const row = names.checkMade(await make(version, names.currentOf(history)), { ownerId, name, id, version });
        const made = names.publish(history, row, keepVersions);
        return { change: made, result: { row, released: made.removed } };
      }),
    patch: (key, make) =>
      change(key, async (history) => {
        const row = names.versionOf(history, key);
        const patched = { ...row, ...(await make(row)) };
        return { change: { history: names.replaceVersion(history, patched), removed: [] }, result: patched };
      }),
    removeName: (tombstone) => remove(tombstone, names.removeAll),
    removeVersion: (tombstone) => remove(tombstone, names.removeOne),
    restore: (rows) =>
      countInBatches(rows, (row) =>
        change(row, (history) => {
          const restored = names.restore(history, row);
          return { ...(restored && { change: { history: restored, removed: [] } }), result: restored !== undefined };
        }),
      ),
    restoreTombstones: (rows) =>
      countInBatches(rows, async (row) => {
        await rememberIds(store, [row.id], row.removedAt);
        return change(row, (history) => {
          const made = names.restoreTombstone(history, row);
          return { ...(made && { change: made }), result: made !== undefined };
        });
      }),
  };
}

async function countInBatches<T>(rows: readonly T[], take: (row: T) => Promise<boolean>): Promise<number> {
  let taken = 0;
  for (let start = 0; start < rows.length; start += BATCH) {
    const results = await Promise.all(rows.slice(start, start + BATCH).map(take));
    taken += results.filter(Boolean).length;
  }
  return taken;
}
