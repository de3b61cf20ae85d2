import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Heartbeat, OrderRow, PeerCatalog, PeerRow } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { forgetHoldings, nextMark } from './embedded-holdings.js';
import { Gathered, HEARTBEATS_GATHER_MS } from './gathered.js';
import { newestLease } from './live-peers.js';

interface StoredPeer {
  readonly num: number;
  readonly name: string;
  readonly address: string;
  readonly version: string;
  readonly incarnation: string;
  readonly state: PeerRow['state'];
  readonly lease_until: number;
  readonly files: number;
  readonly bytes_used: number;
  readonly bytes_free: number;
}

interface StoredOrder {
  readonly peer: string;
  readonly kind: OrderRow['kind'];
  readonly id: string;
  readonly created_at: number;
}

const PUT = `INSERT INTO peers (name, address, version, incarnation, state, lease_until, files, bytes_used, bytes_free, mark)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
  ON CONFLICT (name) DO UPDATE SET address = ?2, version = ?3, incarnation = ?4, state = ?5, lease_until = ?6,
  files = ?7, bytes_used = ?8, bytes_free = ?9`;
const BEAT = `UPDATE peers SET state = ?, lease_until = ?, files = ?, bytes_used = ?, bytes_free = ?
  WHERE name = ? AND incarnation = ? AND state <> 'withdrawn'`;

const COPIES_ORDERED = `SELECT * FROM orders WHERE id IN (SELECT value FROM json_each(?)) AND kind = 'replicate'`;

// As one text: a row that libsql hands over one by one costs several times as much as one in JSON.
const PEERS = `SELECT json_group_array(json_array(num, name, address, version, incarnation, state, lease_until, files,
  bytes_used, bytes_free)) AS found FROM (SELECT * FROM peers WHERE name > ? ORDER BY name LIMIT ?) slice`;
/** Peers that are read before others have their turn. */
const SLICE = 250;

/** What {@link PEERS} has of a peer. */
type ListedPeer = readonly [
  num: number,
  ...texts: [string, string, string, string, PeerRow['state']],
  ...figures: [number, number, number, number],
];

/** A peer, and the number that stands for it in holdings. */
interface NumberedPeer {
  readonly num: number;
  readonly peer: PeerRow;
}

/** Peers and orders in the embedded store: soft state, not synced to the disk. */
export function embeddedPeers(database: EmbeddedDatabase): PeerCatalog {
  const stored = (name: string) => database.get<StoredPeer>('SELECT * FROM peers WHERE name = ?', name);
  const peerNamed = (name: string): PeerRow | undefined => {
    const found = stored(name);
    return found && peerOf(found);
  };
  const beat = ({ name, incarnation, state, leaseUntil, files, bytesUsed, bytesFree }: Heartbeat) => {
    const changed = database.run(BEAT, state, leaseUntil, files, bytesUsed, bytesFree, name, incarnation);
    return changed === 0 ? undefined : peerNamed(name);
  };
  const heartbeats = new Gathered(
    async (beats: readonly Heartbeat[]) => database.transaction(() => beats.map((one) => beat(one))),
    { gatherMs: HEARTBEATS_GATHER_MS },
  );
  return {
    async putPeer({ name, address, version, incarnation, state, leaseUntil, files, bytesUsed, bytesFree }) {
      database.transaction(() => {
        const load = [leaseUntil, files, bytesUsed, bytesFree];
        database.run(PUT, name, address, version, incarnation, state, ...load, nextMark(database));
      });
    },
    heartbeat: (one) => heartbeats.call(one),
    async peer(name) {
      return peerNamed(name);
    },
    async peerByAddress(address, now) {
      const found = database.all<StoredPeer>('SELECT * FROM peers WHERE address = ?', address).map(peerOf);
      return newestLease(found, now);
    },
    async peers(goneBefore) {
      const found = await allPeers(database);
      return found.flatMap(({ peer }) => (peer.leaseUntil >= goneBefore ? [peer] : []));
    },
    async withdrawPeer(name, incarnation) {
      database.run("UPDATE peers SET state = 'withdrawn' WHERE name = ? AND incarnation = ?", name, incarnation);
    },
    async forgetPeers(before) {
      const gone = (await allPeers(database)).filter(({ peer }) => peer.leaseUntil < before);
      const forgotten: string[] = [];
      for (const { num, peer } of gone) {
        if (await forget(database, { num, name: peer.name, before })) forgotten.push(peer.name);
      }
      return forgotten;
    },
    async addOrders(orders) {
      const sql = 'INSERT INTO orders (peer, kind, id, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING';
      database.transaction(() => {
        for (const { peer, kind, id, createdAt } of orders) database.run(sql, peer, kind, id, createdAt);
      });
    },
    async ordersFor(peer, limit) {
      const sql = 'SELECT * FROM orders WHERE peer = ? ORDER BY created_at LIMIT ?';
      const orders = database.all<StoredOrder>(sql, peer, limit);
      return orders.map(({ kind, id, created_at }) => ({ peer, kind, id, createdAt: created_at }));
    },
    async copiesOrdered(ids) {
      const found = database.all<StoredOrder>(COPIES_ORDERED, JSON.stringify(ids));
      return found.map(({ peer, kind, id, created_at }) => ({ peer, kind, id, createdAt: created_at }));
    },
    async deleteOrders(peer, kind, ids) {
      const sql = 'DELETE FROM orders WHERE peer = ? AND kind = ? AND id IN (SELECT value FROM json_each(?))';
      database.run(sql, peer, kind, JSON.stringify(ids));
    },
  };
}

/** In order of name; in slices, so that others have their turn while there are thousands. */
async function allPeers(database: EmbeddedDatabase): Promise<readonly NumberedPeer[]> {
  const found: NumberedPeer[] = [];
  for (;;) {
    const after = found.at(-1)?.peer.name ?? '';
    const slice = JSON.parse(database.get<{ found: string }>(PEERS, after, SLICE)?.found ?? '[]') as ListedPeer[];
    found.push(...slice.map(numberedPeer));
    if (slice.length < SLICE) return found;
    await nextTurn();
  }
}

function numberedPeer([num, name, address, version, incarnation, state, ...figures]: ListedPeer): NumberedPeer {
  const [leaseUntil, files, bytesUsed, bytesFree] = figures;
  return { num, peer: { name, address, version, incarnation, state, leaseUntil, files, bytesUsed, bytesFree } };
}

/** Holdings first and the peer last, so that what a crash leaves is found again. False when it has come back meanwhile. */
async function forget(
  database: EmbeddedDatabase,
  { num, name, before }: { readonly num: number; readonly name: string; readonly before: number },
): Promise<boolean> {
  await forgetHoldings(database, num, nextMark(database));
  return database.transaction(() => {
    if (database.run('DELETE FROM peers WHERE num = ? AND lease_until < ?', num, before) === 0) return false;
    // Announced while the others were being forgotten, with the lease already over.
    database.run('DELETE FROM holdings WHERE peer = ?', num);
    database.run('DELETE FROM orders WHERE peer = ?', name);
    return true;
  });
}

function peerOf({ name, address, version, incarnation, state, files, ...stored }: StoredPeer): PeerRow {
  const { lease_until: leaseUntil, bytes_used: bytesUsed, bytes_free: bytesFree } = stored;
  return { name, address, version, incarnation, state, leaseUntil, files, bytesUsed, bytesFree };
}
