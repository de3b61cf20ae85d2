import type { FindCursor } from 'mongodb';
import { ShoalError } from '../../common/errors.js';
import type { HoldingCatalog } from '../catalog.js';
import { type Arc, type Candidate, sampleHolders, spotOf } from './holder-sample.js';
import { checkLimit } from './index-keys.js';
import type { HoldingDocument, MongoStore } from './mongo-store.js';
import { pageOf, positionOf } from './queries.js';

/** Updates in one command. FerretDB on SQLite stalls for good at about a hundred that find their documents. */
export const UPDATES_AT_ONCE = 20;
/** Holders that are looked up at a time to see which of them are live. */
const WINDOW = 128;

/** Who holds what, in MongoDB: soft state, acknowledged without a wait for the disk. */
export function mongoHoldings(store: MongoStore): HoldingCatalog {
  const holdings = () => store.collection('holdings');
  return {
    async hold(peer, held) {
      const mark = await markOf(store, peer);
      const updates = held.map(({ id, complete }) => ({
        updateOne: {
          filter: { _id: holdingKey(id, peer) },
          update: { $set: { file: id, peer, complete, spot: spotOf(id, peer) }, $max: { mark } },
          upsert: true,
        },
      }));
      for (let start = 0; start < updates.length; start += UPDATES_AT_ONCE) {
        await holdings().bulkWrite(updates.slice(start, start + UPDATES_AT_ONCE), { ordered: false });
      }
    },
    async release(peer, ids) {
      await holdings().deleteMany({ _id: { $in: ids.map((id) => holdingKey(id, peer)) } });
    },
    async beginFull(peer) {
      const mark = await nextMark(store);
      const { matchedCount } = await store.collection('peers').updateOne({ _id: peer }, { $max: { mark } });
      if (matchedCount === 0) throw unknownPeer(peer);
      return String(mark);
    },
    async endFull(peer, mark) {
      if (!/^[1-9][0-9]{0,15}$/.test(mark))
        throw new ShoalError('invalid', `'${mark}' is not a mark that this index gave`);
      await holdings().deleteMany({ peer, mark: { $lt: Number(mark) } });
    },
    holders(id, { now, limit, random, except = [] }) {
      const excepted = new Set(except);
      return sampleHolders((arc, wanted) => readArc(store, { id, now, excepted, arc, wanted }), { limit, random });
    },
    async completeAmong(id, peers) {
      const found = holdings().find({ _id: { $in: peers.map((peer) => holdingKey(id, peer)) } });
      return (await found.toArray()).filter(({ complete }) => complete).map(({ peer }) => peer);
    },
    async holdingsOf(peer, request) {
      const queryName = `holdings ${peer}`;
      const [after = ''] = positionOf(request, queryName) ?? [];
      const limit = checkLimit(request.limit);
      const cursor = holdings().find({ peer, file: { $gt: String(after) } });
      const found = await cursor
        .sort({ file: 1 })
        .limit(limit + 1)
        .toArray();
      const rowOf = ({ file, complete }: HoldingDocument) => ({ id: file, peer, complete });
      return pageOf(found, { limit, queryName, rowOf, positionOf: ({ file }) => [file] });
    },
  };
}

/** A number greater than all that came before, whichever server is asked: tells newer holdings from older ones. */
export async function nextMark(store: MongoStore): Promise<number> {
  const options = { upsert: true, returnDocument: 'after' } as const;
  const counter = await store.collection('counters').findOneAndUpdate({ _id: 'mark' }, { $inc: { value: 1 } }, options);
  if (counter === null) throw new ShoalError('internal', 'the counter of marks is not there after it was counted up');
  return counter.value;
}

/** Live holders of an arc, dead ones passed over. */
async function readArc(
  store: MongoStore,
  {
    id,
    now,
    excepted,
    arc,
    wanted,
  }: {
    readonly id: string;
    readonly now: number;
    readonly excepted: ReadonlySet<string>;
    readonly arc: Arc;
    readonly wanted: number;
  },
): Promise<readonly Candidate[]> {
  const { complete, from, to } = arc;
  const found: Candidate[] = [];
  for await (const names of windows(holdersOf(store, { file: id, complete, spot: { $gte: from, $lt: to } }))) {
    const live = await liveAddresses(store, names, now);
    for (const peer of names) {
      const address = live.get(peer);
      if (address !== undefined && !excepted.has(peer)) found.push({ peer, address, complete });
    }
    if (found.length >= wanted) break;
  }
  return found.slice(0, wanted);
}

function holdersOf(store: MongoStore, filter: object): FindCursor<{ peer: string }> {
  // Nothing but what is in the index.
  const cursor = store.collection('holdings').find(filter).sort({ spot: 1 }).batchSize(WINDOW);
  return cursor.project<{ peer: string }>({ _id: 0, peer: 1 });
}

async function* windows(cursor: FindCursor<{ peer: string }>): AsyncGenerator<readonly string[]> {
  let names: string[] = [];
  for await (const { peer } of cursor) {
    names.push(peer);
    if (names.length < WINDOW) continue;
    yield names;
    names = [];
  }
  if (names.length > 0) yield names;
}

async function liveAddresses(
  store: MongoStore,
  names: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, string>> {
  const peers = store.collection('peers').find({ _id: { $in: [...names] } });
  const live = new Map<string, string>();
  for await (const { _id, address, state, leaseUntil } of peers) {
    if (state !== 'withdrawn' && leaseUntil > now) live.set(_id, address);
  }
  return live;
}

async function markOf(store: MongoStore, peer: string): Promise<number> {
  const known = await store.collection('peers').findOne({ _id: peer });
  if (known === null) throw unknownPeer(peer);
  return known.mark;
}

function holdingKey(id: string, peer: string): string {
  return `${id}/${peer}`;
}

function unknownPeer(peer: string): ShoalError {
  return new ShoalError('not_found', `there is no peer '${peer}'`);
}
