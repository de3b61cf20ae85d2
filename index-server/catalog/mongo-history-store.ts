import { ShoalError } from '../../common/errors.js';
import { loadName, nameKey, rememberGone, saveName } from './mongo-names.js';
import type { MongoStore } from './mongo-store.js';
import { NameLocks } from './name-locks.js';
import type { HistoryStore } from './publishing.js';

/** Each failed attempt is another server's success, so this many in a row mean that something else is wrong. */
const ATTEMPTS_MAX = 200;

/** Histories of names in MongoDB; how changes stay apart is told in mongo-names.ts. */
export function mongoHistoryStore(store: MongoStore): HistoryStore {
  const locks = new NameLocks();
  return {
    change({ ownerId, name }, make) {
      const key = nameKey(ownerId, name);
      // The lock spares writers of this process from undoing each other's attempts.
      return locks.run(key, async () => {
        for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
          const { history, revision } = await loadName(store, key);
          const { change, result } = await make(history);
          if (change === undefined || (await saveName(store, key, { revision, change }))) return result;
        }
        throw new ShoalError('unavailable', `'${name}' is being changed by too many at once`);
      });
    },
    rememberGone: (version, removedAt) => rememberGone(store, version, removedAt),
  };
}
