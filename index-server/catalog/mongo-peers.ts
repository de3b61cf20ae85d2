import type { Heartbeat, PeerCatalog, PeerRow } from '../catalog.js';
import { Gathered, HEARTBEATS_GATHER_MS } from './gathered.js';
import { newestLease } from './live-peers.js';
import { nextMark, UPDATES_AT_ONCE } from './mongo-holdings.js';
import type { MongoStore, PeerDocument } from './mongo-store.js';

/** Peers and orders in MongoDB: soft state, acknowledged without a wait for the disk. */
export function mongoPeers(store: MongoStore): PeerCatalog {
  const peers = () => store.collection('peers');
  const heartbeats = new Gathered((beats: readonly Heartbeat[]) => writeBeats(store, beats), {
    gatherMs: HEARTBEATS_GATHER_MS,
  });
  return {
    async putPeer({ name, ...peer }) {
      // A mark of its own from the start: holdings left over from an earlier life of the name have lower ones.
      const mark = await nextMark(store);
      await peers().updateOne({ _id: name }, { $set: storedOf(peer), $setOnInsert: { mark } }, { upsert: true });
    },
    heartbeat: (beat) => heartbeats.call(beat),
    async peer(name) {
      const peer = await peers().findOne({ _id: name });
      return peer === null ? undefined : peerOf(peer);
    },
    async peerByAddress(address, now) {
      return newestLease((await peers().find({ address }).toArray()).map(peerOf), now);
    },
    async peers(goneBefore) {
      const found = await peers().find().sort({ _id: 1 }).toArray();
      return found.map(peerOf).filter(({ leaseUntil }) => leaseUntil >= goneBefore);
    },
    async withdrawPeer(name, incarnation) {
      await peers().updateOne({ _id: name, incarnation }, { $set: { state: 'withdrawn' } });
    },
    async forgetPeers(before) {
      const gone = await peers()
        .find({ leaseUntil: { $lt: before } })
        .project<{ _id: string }>({ _id: 1 })
        .toArray();
      const forgotten: string[] = [];
      for (const { _id } of gone) if (await forget(store, _id, before)) forgotten.push(_id);
      return forgotten.sort();
    },
    async addOrders(orders) {
      for (const { peer, kind, id, createdAt } of orders) {
        const order = { peer, kind, file: id, createdAt };
        await store
          .collection('orders')
          .updateOne({ _id: orderKey(peer, kind, id) }, { $setOnInsert: order }, { upsert: true });
      }
    },
    async ordersFor(peer, limit) {
      const orders = await store.collection('orders').find({ peer }).sort({ createdAt: 1 }).limit(limit).toArray();
      return orders.map(({ kind, file, createdAt }) => ({ peer, kind, id: file, createdAt }));
    },
    async copiesOrdered(ids) {
      const found = store.collection('orders').find({ file: { $in: [...ids] }, kind: 'replicate' });
      return (await found.toArray()).map(({ peer, kind, file, createdAt }) => ({ peer, kind, id: file, createdAt }));
    },
    async deleteOrders(peer, kind, ids) {
      await store.collection('orders').deleteMany({ _id: { $in: ids.map((id) => orderKey(peer, kind, id)) } });
    },
  };
}

/** Two calls for all of them, where one by one each would be a call of its own. */
async function writeBeats(store: MongoStore, beats: readonly Heartbeat[]): Promise<readonly (PeerRow | undefined)[]> {
  const updates = beats.map(({ name, incarnation, state, leaseUntil, files, bytesUsed, bytesFree }) => ({
    updateOne: {
      filter: { _id: name, incarnation, state: { $ne: 'withdrawn' as const } },
      update: { $set: { state, leaseUntil, files, bytesUsed, bytesFree } },
    },
  }));
  const peers = store.collection('peers');
  for (let start = 0; start < updates.length; start += UPDATES_AT_ONCE) {
    await peers.bulkWrite(updates.slice(start, start + UPDATES_AT_ONCE));
  }
  const names = [...new Set(beats.map(({ name }) => name))];
  const found = await peers.find({ _id: { $in: names } }).toArray();
  const known = new Map(found.map((document) => [document._id, peerOf(document)]));
  return beats.map(({ name, incarnation }) => {
    const peer = known.get(name);
    return peer?.incarnation === incarnation && peer.state !== 'withdrawn' ? peer : undefined;
  });
}

/**
 * Holdings go first and the peer last, so that what a crash leaves is found again by the next run. A peer that joins
 * again meanwhile keeps what it announces: its holdings are not older than the mark. False when it did.
 */
async function forget(store: MongoStore, name: string, before: number): Promise<boolean> {
  const mark = await nextMark(store);
  const isGone = { _id: name, leaseUntil: { $lt: before } };
  const { matchedCount } = await store.collection('peers').updateOne(isGone, { $max: { mark } });
  if (matchedCount === 0) return false;
  await store.collection('holdings').deleteMany({ peer: name, mark: { $lt: mark } });
  const { deletedCount } = await store.collection('peers').deleteOne(isGone);
  if (deletedCount === 0) return false;
  await store.collection('orders').deleteMany({ peer: name });
  return true;
}

function orderKey(peer: string, kind: string, id: string): string {
  return `${peer}/${kind}/${id}`;
}

function storedOf({
  address,
  version,
  incarnation,
  state,
  leaseUntil,
  files,
  bytesUsed,
  bytesFree,
}: Omit<PeerRow, 'name'>) {
  return { address, version, incarnation, state, leaseUntil, files, bytesUsed, bytesFree };
}

function peerOf({ _id, mark: _mark, ...peer }: PeerDocument): PeerRow {
  return { name: _id, ...storedOf(peer) };
}
