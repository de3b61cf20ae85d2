import type { EmbeddedDatabase } from './embedded-database.js';
import { EmbeddedHistories } from './embedded-histories.js';
import { NameLocks } from './name-locks.js';
import type { HistoryStore } from './publishing.js';

/**
 * Histories of names in the embedded store. Only this process writes, so a lock per name keeps changes apart; it is held
 * while the caller signs and the disk is written, and other names go on meanwhile.
 */
export function embeddedHistoryStore(database: EmbeddedDatabase): HistoryStore {
  const histories = new EmbeddedHistories(database);
  const locks = new NameLocks();
  return {
    change: ({ ownerId, name }, make) =>
      locks.run(`${ownerId}/${name}`, async () => {
        const loaded = histories.load(ownerId, name);
        const { change, result } = await make(loaded.history);
        if (change !== undefined) await database.write(() => histories.save({ ownerId, name }, loaded, change));
        return result;
      }),
    rememberGone: (version, removedAt) => database.write(() => histories.rememberGone(version, removedAt)),
  };
}
