import { randomInt } from 'node:crypto';
import { mongoAccounts } from './catalog/mongo-accounts.js';
import { withStoreErrors } from './catalog/mongo-errors.js';
import { mongoFinding } from './catalog/mongo-finding.js';
import { mongoHistoryStore } from './catalog/mongo-history-store.js';
import { mongoHoldings } from './catalog/mongo-holdings.js';
import { mongoPeers } from './catalog/mongo-peers.js';
import type { MongoStore } from './catalog/mongo-store.js';
import { publishingOn } from './catalog/publishing.js';
import type { Catalog } from './catalog.js';

/** Each takes a connection of the driver's. */
const RESTORED_AT_ONCE = 32;

/** A catalog in a MongoDB, for any number of index servers; not yet open. */
export function mongoCatalog(store: MongoStore): Catalog {
  return withStoreErrors<Catalog>({
    open: () => store.open(),
    close: () => store.close(),
    ping: () => store.ping(),
    sweep: (now, tombstonesBefore) => sweep(store, now, tombstonesBefore),
    storeId: () => storeId(store),
    counts: () => counts(store),
    ...mongoAccounts(store),
    ...publishingOn(mongoHistoryStore(store), { atOnce: RESTORED_AT_ONCE }),
    ...mongoFinding(store),
    ...mongoPeers(store),
    ...mongoHoldings(store),
  });
}

async function sweep(store: MongoStore, now: number, tombstonesBefore: number): Promise<void> {
  await store.collection('sessions').deleteMany({ expiresAt: { $lte: now } });
  for (const name of ['gone', 'gonePlaces'] as const) {
    await store.collection(name).deleteMany({ removedAt: { $lt: tombstonesBefore } });
  }
  // A name that is published again meanwhile has another `removedAt`.
  await store.collection('names').deleteMany({ removedAt: { $gt: 0, $lt: tombstonesBefore } });
}

async function storeId(store: MongoStore): Promise<string> {
  const made = { $setOnInsert: { value: randomInt(2 ** 47) } };
  const options = { upsert: true, returnDocument: 'after' } as const;
  return String((await store.collection('counters').findOneAndUpdate({ _id: 'store' }, made, options))?.value ?? 0);
}

async function counts(store: MongoStore): ReturnType<Catalog['counts']> {
  const names = store.collection('names');
  // Counting what is removed is cheap, counting what is there is not.
  const removed = await names.countDocuments({ removedAt: { $gt: 0 } });
  return {
    files: (await names.estimatedDocumentCount()) - removed,
    users: await store.collection('users').estimatedDocumentCount(),
  };
}
