import type { ContractContext } from './catalog-contract.js';
import { idOf, peerRow } from './catalog-rows.js';

const BEAT = {
  incarnation: 'incarnation-1',
  state: 'live',
  leaseUntil: 20_000,
  files: 4,
  bytesUsed: 6,
  bytesFree: 8,
} as const;

/** Peers, their leases, and what they are told to do. */
export function peerContract({ catalog, reopen }: ContractContext): void {
  test('adds and replaces a peer', async () => {
    expect(await catalog().peer('peer-0')).toBeUndefined();
    await catalog().putPeer(peerRow());
    expect(await catalog().peer('peer-0')).toEqual(peerRow());
    const moved = peerRow({ address: '[::1]:5000', incarnation: 'incarnation-2', state: 'draining', leaseUntil: 1 });
    await catalog().putPeer(moved);
    expect(await catalog().peer('peer-0')).toEqual(moved);
    expect(await (await reopen()).peer('peer-0')).toEqual(moved);
  });

  test('extends the lease of the same incarnation only', async () => {
    await catalog().putPeer(peerRow());
    const beaten = { ...peerRow(), ...BEAT, state: 'draining' as const };
    expect(await catalog().heartbeat({ name: 'peer-0', ...BEAT, state: 'draining' })).toEqual(beaten);
    expect(await catalog().peer('peer-0')).toEqual(beaten);
    expect(await catalog().heartbeat({ name: 'peer-0', ...BEAT, incarnation: 'incarnation-0' })).toBeUndefined();
    expect(await catalog().heartbeat({ name: 'peer-1', ...BEAT })).toBeUndefined();
    expect(await catalog().peer('peer-0')).toEqual(beaten);
    expect(await catalog().peer('peer-1')).toBeUndefined();
  });

  test('takes no heartbeat of a peer that has withdrawn, until it joins again', async () => {
    await catalog().putPeer(peerRow());
    await catalog().withdrawPeer('peer-0', 'incarnation-0');
    expect((await catalog().peer('peer-0'))?.state).toBe('live');
    await catalog().withdrawPeer('peer-0', 'incarnation-1');
    expect((await catalog().peer('peer-0'))?.state).toBe('withdrawn');
    expect(await catalog().heartbeat({ name: 'peer-0', ...BEAT })).toBeUndefined();
    await catalog().putPeer(peerRow({ incarnation: 'incarnation-2' }));
    expect(await catalog().heartbeat({ name: 'peer-0', ...BEAT, incarnation: 'incarnation-2' })).toBeDefined();
    await catalog().withdrawPeer('nobody', 'incarnation-1');
  });

  test('tells heartbeats that come together apart', async () => {
    const names = Array.from({ length: 70 }, (_, n) => `peer-${n}`);
    for (const name of names.slice(0, 60)) await catalog().putPeer(peerRow({ name }));
    await catalog().withdrawPeer('peer-5', 'incarnation-1');
    const beats = names.map((name, n) => ({ ...BEAT, name, files: n, ...(n === 7 && { incarnation: 'other' }) }));
    const answers = await Promise.all(beats.map((beat) => catalog().heartbeat(beat)));
    const expected = names.map((name, n) => {
      const isKnown = n < 60 && n !== 5 && n !== 7;
      return isKnown ? { ...peerRow({ name }), ...BEAT, files: n } : undefined;
    });
    expect(answers).toEqual(expected);
    expect(await catalog().peer('peer-59')).toEqual(expected[59]);
    expect((await catalog().peer('peer-7'))?.leaseUntil).toBe(peerRow().leaseUntil);
  });

  test('finds the live peer at an address', async () => {
    await catalog().putPeer(peerRow({ name: 'old', address: 'a:1', leaseUntil: 5_000 }));
    await catalog().putPeer(peerRow({ name: 'new', address: 'a:1', leaseUntil: 6_000 }));
    await catalog().putPeer(peerRow({ name: 'left', address: 'b:1', state: 'withdrawn' }));
    expect((await catalog().peerByAddress('a:1', 4_000))?.name).toBe('new');
    expect((await catalog().peerByAddress('a:1', 5_999))?.name).toBe('new');
    expect(await catalog().peerByAddress('a:1', 6_000)).toBeUndefined();
    expect(await catalog().peerByAddress('b:1', 0)).toBeUndefined();
    expect(await catalog().peerByAddress('c:1', 0)).toBeUndefined();
  });

  test('lists peers by name, those gone long ago left out', async () => {
    for (const [name, leaseUntil] of [
      ['b', 3_000],
      ['a', 2_000],
      ['c', 1_999],
    ] as const) {
      await catalog().putPeer(peerRow({ name, leaseUntil }));
    }
    expect((await catalog().peers(2_000)).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(await catalog().peers(0)).toHaveLength(3);
    for (let n = 0; n < 600; n += 1) await catalog().putPeer(peerRow({ name: `crowd-${(n * 7) % 600}` }));
    const names = (await catalog().peers(5_000)).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 600 }, (_, n) => `crowd-${n}`).sort());
  });

  test('forgets peers that are gone, with their holdings and orders', async () => {
    const id = idOf('a');
    for (const [name, leaseUntil] of [
      ['gone', 1_999],
      ['here', 2_000],
    ] as const) {
      await catalog().putPeer(peerRow({ name, leaseUntil }));
      await catalog().hold(name, [{ id, complete: true }]);
      await catalog().addOrders([{ peer: name, id, kind: 'drop', createdAt: 1 }]);
    }
    expect(await catalog().forgetPeers(2_000)).toEqual(['gone']);
    expect(await catalog().forgetPeers(2_000)).toEqual([]);
    expect((await catalog().peers(0)).map(({ name }) => name)).toEqual(['here']);
    expect(await catalog().ordersFor('gone', 9)).toEqual([]);
    expect(await catalog().ordersFor('here', 9)).toHaveLength(1);
    await catalog().putPeer(peerRow({ name: 'gone' }));
    const holders = await catalog().holders(id, { now: 0, limit: 9, random: 0 });
    expect(holders.map(({ peer }) => peer)).toEqual(['here']);
  });

  test('tells who is to copy some files', async () => {
    const ids = Array.from({ length: 300 }, (_, n) => idOf(`file ${n}`));
    const orderOf = (id: string, n: number) =>
      ({ peer: `peer-${n % 3}`, id, kind: 'replicate', createdAt: 1_000 + n }) as const;
    const orders = ids.map(orderOf);
    const second = { ...orderOf(idOf('file 7'), 2), createdAt: 5_000 };
    await catalog().addOrders([...orders, second]);
    await catalog().addOrders([{ ...orderOf(idOf('file 8'), 0), kind: 'update' }]);
    const found = (asked: readonly string[]) =>
      catalog()
        .copiesOrdered(asked)
        .then((rows) => rows.map(({ peer, id }) => `${id} ${peer}`).sort());
    const told = (rows: readonly { readonly peer: string; readonly id: string }[]) =>
      rows.map(({ peer, id }) => `${id} ${peer}`).sort();
    expect(await found([])).toEqual([]);
    expect(await found([idOf('never ordered')])).toEqual([]);
    expect(await catalog().copiesOrdered([idOf('file 8')])).toEqual([orders[8]]);
    expect(await found([idOf('file 7'), idOf('file 9')])).toEqual(
      told([orders[7], second, orders[9]].flatMap((o) => o ?? [])),
    );
    expect(await found(ids)).toEqual(told([...orders, second]));
    await catalog().deleteOrders('peer-2', 'replicate', [idOf('file 7')]);
    expect(await found([idOf('file 7')])).toEqual(told(orders.slice(7, 8)));
  });

  test('gives each peer its orders, oldest first, each once', async () => {
    const order = { peer: 'peer-0', id: idOf('a'), kind: 'replicate', createdAt: 2_000 } as const;
    const drop = { ...order, kind: 'drop', createdAt: 1_000 } as const;
    const other = { ...order, id: idOf('b'), createdAt: 3_000 };
    await catalog().addOrders([order, drop, other, { ...order, peer: 'peer-1' }]);
    await catalog().addOrders([{ ...order, createdAt: 9_000 }]);
    await catalog().addOrders([]);
    expect(await catalog().ordersFor('peer-0', 9)).toEqual([drop, order, other]);
    expect(await catalog().ordersFor('peer-0', 2)).toEqual([drop, order]);
    await catalog().deleteOrders('peer-0', 'replicate', [order.id, other.id, idOf('never ordered')]);
    await catalog().deleteOrders('peer-0', 'drop', []);
    expect(await catalog().ordersFor('peer-0', 9)).toEqual([drop]);
    expect(await catalog().ordersFor('peer-1', 9)).toHaveLength(1);
  });
}
