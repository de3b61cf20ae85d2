import type { FileRow, PublishingCatalog, TombstoneRow } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { EmbeddedHistories } from './embedded-histories.js';
import * as names from './name-history.js';
import { NameLocks } from './name-locks.js';

/** Rows that are taken back in one go. */
const BATCH = 32;

/** Changes of files in the embedded store. All are durable when they resolve. */
export function embeddedPublishing(database: EmbeddedDatabase): PublishingCatalog {
  const histories = new EmbeddedHistories(database);
  const locks = new NameLocks();

  /** Changes one name while nobody else does. The lock is held while the caller signs; everything else is one turn. */
  const change = async <T>(
    { ownerId, name }: Pick<FileRow, 'ownerId' | 'name'>,
    work: (history: names.NameHistory, save: (change: names.HistoryChange) => void) => T | Promise<T>,
  ): Promise<T> => {
    const result = await locks.run(`${ownerId}/${name}`, async () =>
      work(histories.load(ownerId, name), (made) => database.transaction(() => histories.save(ownerId, name, made))),
    );
    await database.durable();
    return result;
  };
  const remove = (tombstone: TombstoneRow, how: typeof names.removeAll) =>
    change(tombstone, (history, save) => {
      const made = how(history, tombstone);
      if (made.removed.length > 0) save(made);
      return made.removed;
    });

  return {
    publish({ ownerId, name, id, keepVersions }, make) {
      return change({ ownerId, name }, async (history, save) => {
        const version = names.numberFor(history, id);
        const row = names.checkMade(await make(version, names.currentOf(history)), { ownerId, name, id, version });
        const made = names.publish(history, row, keepVersions);
        save(made);
        return { row, released: made.removed };
      });
    },
    patch(key, make) {
      return change(key, async (history, save) => {
        const row = names.versionOf(history, key);
        const patched = { ...row, ...(await make(row)) };
        save({ history: names.replaceVersion(history, patched), removed: [] });
        return patched;
      });
    },
    removeName: (tombstone) => remove(tombstone, names.removeAll),
    removeVersion: (tombstone) => remove(tombstone, names.removeOne),
    restore: (rows) =>
      countInBatches(rows, (row) =>
        change(row, (history, save) => {
          const restored = names.restore(history, row);
          if (restored !== undefined) save({ history: restored, removed: [] });
          return restored !== undefined;
        }),
      ),
    restoreTombstones: (rows) =>
      countInBatches(rows, (row) =>
        change(row, (history, save) => {
          histories.rememberGone(row.id, row.removedAt);
          const made = names.restoreTombstone(history, row);
          if (made !== undefined) save(made);
          return made !== undefined;
        }),
      ),
  };
}

/** How many were taken. A batch shares a sync of the disk, and others have their turn while it lasts. */
async function countInBatches<T>(rows: readonly T[], take: (row: T) => Promise<boolean>): Promise<number> {
  let taken = 0;
  for (let start = 0; start < rows.length; start += BATCH) {
    const results = await Promise.all(rows.slice(start, start + BATCH).map(take));
    taken += results.filter(Boolean).length;
  }
  return taken;
}
