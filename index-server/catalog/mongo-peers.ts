import type { PeerCatalog, PeerRow } from '../catalog.js';
import { nextMark } from './mongo-holdings.js';
import type { MongoStore, PeerDocument } from './mongo-store.js';

/** Peers and orders in MongoDB: soft state, acknowledged without a wait for the disk. */
export function mongoPeers(store: MongoStore): PeerCatalog {
  const peers = () => store.collection('peers');
  return {
    async putPeer({ name, ...peer }) {
      // A mark of its own from the start: holdings left over from an earlier life of the name have lower ones.
      const mark = await nextMark(store);
      await peers().updateOne({ _id: name }, { $set: storedOf(peer), $setOnInsert: { mark } }, { upsert: true });
    },
    async heartbeat({ name, incarnation, ...beat }) {
      const filter = { _id: name, incarnation, state: { $ne: 'withdrawn' as const } };
      const { state, leaseUntil, files, bytesUsed, bytesFree } = beat;
      const set = { $set: { state, leaseUntil, files, bytesUsed, bytesFree } };
      const peer = await peers().findOneAndUpdate(filter, set, { returnDocument: 'after' });
      return peer === null ? undefined : peerOf(peer);
    },
    async peer(name) {
      const peer = await peers().findOne({ _id: name });
      return peer === null ? undefined : peerOf(peer);
    },
    async peerByAddress(address, now) {
      const filter = { address, leaseUntil: { $gt: now }, state: { $ne: 'withdrawn' as const } };
      // Very few have the same address; no index is needed to order them.
      const [peer] = await peers().find(filter).sort({ leaseUntil: -1 }).limit(1).toArray();
      return peer === undefined ? undefined : peerOf(peer);
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
    async deleteOrders(peer, kind, ids) {
      await store.collection('orders').deleteMany({ _id: { $in: ids.map((id) => orderKey(peer, kind, id)) } });
    },
  };
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
