import type { Catalog } from '../catalog.js';
import { fileRow, idOf, peerRow, publish, tombstoneOf } from './catalog-rows.js';

/**
 * Calls every method of an open catalogue, on its way through every query that it can send. Throws when it left one out,
 * which is what tells whoever adds a method.
 */
export async function useEverything(opened: Catalog): Promise<void> {
  const unused = new Set(Object.keys(opened).filter((name) => name !== 'open' && name !== 'close'));
  await useAll(
    new Proxy(opened, {
      get(target, name: keyof Catalog) {
        unused.delete(name);
        return target[name];
      },
    }),
  );
  if (unused.size > 0) throw new Error(`not used: ${[...unused].join(', ')}`);
}

async function useAll(catalog: Catalog): Promise<void> {
  const reader = { userId: 'id-of-bob' };
  const { row } = await publish(catalog, { tags: { a: '1', b: '2' } });
  await publish(catalog, { id: idOf('b') });
  await catalog.patch(row, async () => ({ ...row, visibility: 'private', record: 'new' }));
  await catalog.list({ tags: ['a=1', 'b=2'], ownerId: 'x', prefix: 'm' }, reader, { limit: 1 });
  await catalog.list({}, reader, { limit: 1 });
  await catalog.search('model bin', reader, { limit: 1 });
  await catalog.versionsWithId(row.id, reader, 1);
  await catalog.allVersionsWithId(row.id, 1);
  await catalog.recordsWithIds([row.id], 1);
  await catalog.visibleWithName(row.name, reader, 1);
  await catalog.current(row.ownerId, row.name);
  await catalog.knownIds([row.id]);
  await catalog.removedIds([row.id]);
  await catalog.tombstonesOf(row.id, 1);
  await catalog.removeVersion(tombstoneOf(row));
  await catalog.removeName(tombstoneOf(row));
  await catalog.restore([fileRow({ name: 'restored' })]);
  await catalog.restoreTombstones([tombstoneOf(fileRow({ name: 'restored' }))]);
  await catalog.createUser({ id: 'id-of-ann', name: 'ann', passwordHash: null, locked: false, createdAt: 0 });
  await catalog.userByName('ann');
  await catalog.usersById(['id-of-ann']);
  await catalog.setPassword('id-of-ann', 'hash');
  await catalog.createSession({ tokenHash: 'a', userId: 'id-of-ann', expiresAt: 1 });
  await catalog.session('a', 0);
  await catalog.deleteSession('a');
  await catalog.deleteSessionsOf('id-of-ann', 'b');
  await catalog.deleteSessionsOf('id-of-ann');
  await catalog.sweep(9, 9);
  await catalog.setSeat({ userId: 'id-of-ann', url: 'a:1' });
  await catalog.seat('id-of-ann');
  await catalog.deleteSeat('id-of-ann');
  await catalog.putPeer(peerRow());
  await catalog.heartbeat({ ...peerRow(), state: 'live' });
  await catalog.peer('peer-0');
  await catalog.peers(0);
  await catalog.peerByAddress('a:1', 0);
  await catalog.hold('peer-0', [{ id: row.id, complete: true }]);
  await catalog.holders(row.id, { now: 0, limit: 2, random: 0.5 });
  await catalog.completeAmong(row.id, ['peer-0', 'peer-1']);
  await catalog.holdingsOf('peer-0', { limit: 1 });
  await catalog.endFull('peer-0', await catalog.beginFull('peer-0'));
  await catalog.release('peer-0', [row.id]);
  await catalog.addOrders([{ peer: 'peer-0', id: row.id, kind: 'drop', createdAt: 0 }]);
  await catalog.ordersFor('peer-0', 1);
  await catalog.copiesOrdered([row.id]);
  await catalog.deleteOrders('peer-0', 'drop', [row.id]);
  await catalog.withdrawPeer('peer-0', 'incarnation-1');
  await catalog.forgetPeers(20_000);
  await catalog.ping();
  await catalog.storeId();
  await catalog.counts();
}
