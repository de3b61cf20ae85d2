import type { FileRow, PublishingCatalog, TombstoneRow } from '../catalog.js';
import * as names from './name-history.js';

/** What a change makes of a history, and what its caller gets. Without `change` nothing is written. */
export interface Outcome<T> {
  readonly change?: names.HistoryChange;
  readonly result: T;
}

/** Where histories of names are kept. */
export interface HistoryStore {
  /**
   * Replaces the history of a name by what `make` makes of it, as one step: no other change comes in between, and no
   * crash leaves half of it. Durable when it resolves. `make` may be called again.
   */
  change<T>(
    key: Pick<FileRow, 'ownerId' | 'name'>,
    make: (history: names.NameHistory) => Outcome<T> | Promise<Outcome<T>>,
  ): Promise<T>;
  /** Remembers that a version is gone. Durable when it resolves. */
  rememberGone(version: GoneVersion, removedAt: number): Promise<void>;
}

/** A version that is gone, and where it was. */
export type GoneVersion = Pick<FileRow, 'id' | 'ownerId' | 'name' | 'version'>;

/** Changes of files on a store of histories; when many are taken back, `atOnce` names are changed at a time. */
export function publishingOn(store: HistoryStore, { atOnce }: { readonly atOnce: number }): PublishingCatalog {
  const remove = (tombstone: TombstoneRow, how: typeof names.removeAll): Promise<readonly FileRow[]> =>
    store.change(tombstone, (history) => {
      const change = how(history, tombstone);
      return { ...(change.removed.length > 0 && { change }), result: change.removed };
    });
  return {
    publish: ({ ownerId, name, id, keepVersions }, make) =>
      store.change({ ownerId, name }, async (history) => {
        const version = names.numberFor(history, id);
        const row = names.checkMade(await make(version, names.currentOf(history)), { ownerId, name, id, version });
        const change = names.publish(history, row, keepVersions);
        return { change, result: { row, released: change.removed } };
      }),
    patch: (key, make) =>
      store.change(key, async (history) => {
        const row = names.versionOf(history, key);
        const patched = names.patched(row, await make(row));
        return { change: { history: names.replaceVersion(history, patched), removed: [] }, result: patched };
      }),
    removeName: (tombstone) => remove(tombstone, names.removeAll),
    removeVersion: (tombstone) => remove(tombstone, names.removeOne),
    restore: (rows) =>
      countInBatches({ rows, atOnce }, (row) =>
        store.change(row, (history) => {
          const restored = names.restore(history, row);
          return { ...(restored && { change: { history: restored, removed: [] } }), result: restored !== undefined };
        }),
      ),
    restoreTombstones: async (rows) => {
      const removed: FileRow[] = [];
      const taken = await countInBatches({ rows, atOnce }, async (row) => {
        await store.rememberGone(row, row.removedAt);
        const change = await store.change(row, (history) => {
          const made = names.restoreTombstone(history, row);
          return { ...(made && { change: made }), result: made };
        });
        removed.push(...(change?.removed ?? []));
        return change !== undefined;
      });
      return { taken, removed };
    },
  };
}

/** How many were taken. */
async function countInBatches<T>(
  { rows, atOnce }: { readonly rows: readonly T[]; readonly atOnce: number },
  take: (row: T) => Promise<boolean>,
): Promise<number> {
  let taken = 0;
  for (let start = 0; start < rows.length; start += atOnce) {
    const results = await Promise.all(rows.slice(start, start + atOnce).map(take));
    taken += results.filter(Boolean).length;
  }
  return taken;
}
