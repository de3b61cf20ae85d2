import { type Order, recordsRevision } from '../api/peers.js';
import { peerRow } from '../testing/catalog-rows.js';
import { eventually, idOf, TestIndex, type TestPeer } from '../testing/test-index.js';

const LEASE_MS = 10_000;

type Replicate = Extract<Order, { do: 'replicate' }>;

async function ordersOf<K extends Order['do']>(peer: TestPeer, kind: K): Promise<Extract<Order, { do: K }>[]> {
  const { orders } = await peer.beat();
  return orders.filter((order): order is Extract<Order, { do: K }> => order.do === kind);
}

describe('peers', () => {
  let index: TestIndex;
  beforeEach(async () => {
    index = await TestIndex.start({ config: { leaseMs: LEASE_MS } });
  });
  afterEach(() => index.stop());

  test('join, are listed, and are gone when their heartbeats stop', async () => {
    const one = await index.peer('p1', { bytesFree: 5 });
    await index.peer('p2');
    expect(await index.client.peers(one.auth)).toEqual([
      { name: 'p1', address: 'p1.test:4999', state: 'live', files: 0, bytesUsed: 0, bytesFree: 5, version: '0.0.0' },
      expect.objectContaining({ name: 'p2', state: 'live' }),
    ]);
    index.advance(LEASE_MS / 2);
    const beat = await one.beat();
    expect(beat).toMatchObject({ leaseMs: LEASE_MS, heartbeatMs: 3333, livePeers: 2 });
    expect(beat.peers).toEqual([{ name: 'p2', address: 'p2.test:4999' }]);
    index.advance(LEASE_MS / 2 + 1);
    expect((await index.client.peers(one.auth)).map(({ state }) => state)).toEqual(['live', 'gone']);
    expect((await one.beat()).peers).toEqual([]);
  });

  test('are offered only while their lease runs', async () => {
    const one = await index.peer('p1');
    const two = await index.peer('p2');
    await one.publish('a');
    index.advance(LEASE_MS - 100);
    await two.beat();
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toHaveLength(1);
    index.advance(200);
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toEqual([]);
    await one.beat();
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toHaveLength(1);
  });

  test('that withdraw are in no answer until they join again', async () => {
    const one = await index.peer('p1');
    const two = await index.peer('p2');
    await one.publish('a');
    await index.client.withdraw(one.auth, 'p1');
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toEqual([]);
    expect((await index.client.peers(two.auth))[0]).toMatchObject({ name: 'p1', state: 'gone' });
    await expect(one.beat()).rejects.toMatchObject({ code: 'not_found' });
    await one.join();
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toHaveLength(1);
  });

  test('that were replaced under their name must join again, and cannot harm who replaced them', async () => {
    const old = await index.peer('p1');
    const young = await index.peer('p1');
    await expect(old.beat()).rejects.toMatchObject({ code: 'not_found' });
    await expect(old.announce({ held: [] })).rejects.toMatchObject({ code: 'not_found' });
    await index.client.withdraw(old.auth, 'p1');
    await young.beat();
  });

  test('speak for themselves alone', async () => {
    const one = await index.peer('p1');
    await index.peer('p2');
    await expect(index.client.withdraw(one.auth, 'p2')).rejects.toMatchObject({ code: 'denied' });
    const { token } = await index.client.register(undefined, { username: 'ann', password: 'correct horse' });
    await expect(index.client.withdraw({ bearer: token }, 'p1')).rejects.toMatchObject({ code: 'denied' });
  });

  test('get new tokens when they ask for them', async () => {
    const one = await index.peer('p1');
    expect((await one.beat()).membership).toBeUndefined();
    index.advance(2000);
    const { membership } = await one.beat('live', true);
    expect(membership?.peerToken).not.toBe(one.joined.peerToken);
    expect(membership?.keys).toEqual(await index.client.keys(one.auth));
  });

  test('are asked to announce everything after they joined, and when the index knows of nothing', async () => {
    const one = await index.peer('p1', { files: 1 });
    expect((await one.beat()).announceAll).toBe(true);
    await one.announce({ held: [{ id: idOf('a'), complete: true }], full: 'only' });
    expect((await one.beat()).announceAll).toBe(false);
    await one.announce({ held: [], dropped: [idOf('a')] });
    expect((await one.beat()).announceAll).toBe(true);
  });

  test('replace what was known of them by a full announcement in parts', async () => {
    const one = await index.peer('p1');
    for (const name of ['a', 'b', 'c']) await one.publish(name);
    const held = (name: string) => [{ id: idOf(name), complete: true }];
    const { mark } = await one.announce({ held: held('a'), full: 'begin' });
    await expect(one.announce({ held: [], full: 'end' })).rejects.toMatchObject({ code: 'invalid' });
    await one.announce({ held: held('c'), full: 'end', ...(mark !== undefined && { mark }) });
    const { token } = await index.client.register(undefined, { username: 'ann', password: 'correct horse' });
    const holders = async (ref: string) => (await index.client.stat({ bearer: token }, ref)).holders.length;
    expect(await Promise.all(['a', 'b', 'c'].map(holders))).toEqual([1, 0, 1]);
  });

  test('learn which of their files are unknown', async () => {
    const one = await index.peer('p1');
    const answer = await one.announce({ held: [{ id: idOf('a'), complete: true }] });
    expect(answer).toEqual({ unknown: [idOf('a')], removed: [] });
  });

  test('offer partial copies after complete ones', async () => {
    const [one, two, three] = await Promise.all(['p1', 'p2', 'p3'].map((name) => index.peer(name)));
    await one?.publish('a');
    await two?.announce({ held: [{ id: idOf('a'), complete: false }] });
    const located = await index.client.locate((three as TestPeer).auth, { ref: 'a' });
    expect(located.file.holders).toEqual([
      { peer: 'p1', address: 'p1.test:4999', complete: true },
      { peer: 'p2', address: 'p2.test:4999', complete: false },
    ]);
  });

  test('that served corrupt bytes are not offered for that file', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    await one.publish('a');
    await one.publish('b');
    await index.client.report(two.auth, { id: idOf('a'), peer: 'p1', reason: 'corrupt' });
    expect((await index.client.locate(two.auth, { ref: 'a' })).file.holders).toEqual([]);
    expect((await index.client.locate(two.auth, { ref: 'b' })).file.holders).toHaveLength(1);
    const unknown = { id: idOf('zzz'), peer: 'p1', reason: 'corrupt' } as const;
    await expect(index.client.report(two.auth, unknown)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('are given copies to make, with all it takes, until they have made them', async () => {
    const one = await index.peer('p1');
    const peers = [await index.peer('p2'), await index.peer('p3', { bytesFree: 10 })];
    const { targets, record } = await one.publish('a', { replicas: 2, visibility: 'private' });
    expect(targets).toEqual([{ peer: 'p2', address: 'p2.test:4999' }]);
    const two = peers[0] as TestPeer;
    const [order] = await ordersOf(two, 'replicate');
    expect(order).toMatchObject({ id: idOf('a'), records: [record], holders: [{ peer: 'p1', complete: true }] });
    const ticket = (order as Replicate).ticket;
    expect(await index.signer.verifyTicket(ticket, Date.now())).toMatchObject({ sub: 'peer:p2', file: idOf('a') });
    // By that ticket it finds other holders, and nobody else does.
    expect((await index.client.locate(two.for(ticket), { ref: idOf('a') })).file.holders).toHaveLength(1);
    await expect(index.client.locate((peers[1] as TestPeer).for(ticket), { ref: idOf('a') })).rejects.toMatchObject({
      code: 'not_found',
    });
    await two.announce({ held: [{ id: idOf('a'), complete: false }] });
    expect(await ordersOf(two, 'replicate')).toHaveLength(1);
    await two.announce({ held: [{ id: idOf('a'), complete: true }] });
    expect(await ordersOf(two, 'replicate')).toEqual([]);
  });

  test('need not make a copy that others have made meanwhile', async () => {
    const [one, two, three] = [await index.peer('p1'), await index.peer('p2'), await index.peer('p3')];
    const { targets } = await one.publish('a', { replicas: 2 });
    const target = targets[0]?.peer === 'p2' ? two : three;
    const other = target === two ? three : two;
    await other.announce({ held: [{ id: idOf('a'), complete: true }] });
    expect(await ordersOf(target, 'replicate')).toEqual([]);
  });

  test('leave a copy to others when they drain, or do not make it in time', async () => {
    const one = await index.peer('p1');
    const others = [await index.peer('p2'), await index.peer('p3')];
    const { targets } = await one.publish('a', { replicas: 2 });
    const target = others.find(({ name }) => name === targets[0]?.peer) as TestPeer;
    const other = others.find((peer) => peer !== target) as TestPeer;
    expect((await target.beat('draining')).orders).toEqual([]);
    expect(await ordersOf(other, 'replicate')).toHaveLength(1);
    index.advance(16 * 60_000);
    await Promise.all([one.join(), target.join(), other.join()]);
    expect(await ordersOf(other, 'replicate')).toEqual([]);
    expect(await ordersOf(target, 'replicate')).toHaveLength(1);
  });

  test('are given changed records until they keep them', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    const { record } = await one.publish('a');
    await two.announce({ held: [{ id: idOf('a'), complete: true, revision: recordsRevision([record]) }] });
    expect(await ordersOf(two, 'update')).toEqual([]);
    await index.client.patch(one.auth, 'a', { tags: { new: 'tag' } });
    const [order] = await ordersOf(two, 'update');
    expect(await index.signer.verifyRecord(order?.records[0] as string)).toMatchObject({ tags: { new: 'tag' } });
    const keep = (records: readonly string[]) =>
      two.announce({ held: [{ id: idOf('a'), complete: true, revision: recordsRevision(records) }] });
    await keep([record]);
    expect(await ordersOf(two, 'update')).toHaveLength(1);
    await keep(order?.records as string[]);
    expect(await ordersOf(two, 'update')).toEqual([]);
  });

  test('that slept through a change get it when they announce', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    const { record } = await one.publish('a');
    const held = [{ id: idOf('a'), complete: true, revision: recordsRevision([record]) }];
    await two.announce({ held });
    await index.client.withdraw(two.auth, 'p2');
    await index.client.patch(one.auth, 'a', { visibility: 'private' });
    await two.join();
    expect(await ordersOf(two, 'update')).toEqual([]);
    await two.announce({ held });
    expect(await ordersOf(two, 'update')).toHaveLength(1);
  });

  test('keep the records of all names that a content has', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    const first = await one.publish('a', { content: 'same' });
    const second = await two.publish('b', { content: 'same' });
    const [order] = await ordersOf(one, 'update');
    expect(new Set(order?.records)).toEqual(new Set([first.record, second.record]));
  });

  test('drop what has no name left, and nothing that was published again', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    await one.publish('a');
    await two.announce({ held: [{ id: idOf('a'), complete: true }] });
    await index.client.remove(one.auth, 'a');
    const [order] = await ordersOf(two, 'drop');
    expect(order).toEqual({ do: 'drop', id: idOf('a'), tombstones: [expect.any(String)] });
    const [proof = ''] = order?.do === 'drop' ? (order.tombstones ?? []) : [];
    expect(await index.signer.verifyRecord(proof)).toMatchObject({ kind: 'tombstone', name: 'a', id: idOf('a') });
    // One that slept through it hears of it when it announces, with the proof.
    const late = await index.peer('p3');
    const { removed, tombstones } = await late.announce({ held: [{ id: idOf('a'), complete: true }], full: 'only' });
    expect([removed, tombstones]).toEqual([[idOf('a')], [proof]]);
    await one.publish('a again', { content: 'a' });
    expect(await ordersOf(one, 'drop')).toEqual([]);
    expect(await ordersOf(two, 'drop')).toEqual([]);
  });

  test('get more copies made when more are asked for', async () => {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    await one.publish('a');
    expect(await ordersOf(two, 'replicate')).toEqual([]);
    await index.client.patch(one.auth, 'a', { replicas: 2 });
    expect(await ordersOf(two, 'replicate')).toHaveLength(1);
  });
});

test('more than 1,000 peers get a longer lease, and are told of 64 others at a time', async () => {
  const index = await TestIndex.start({ config: { leaseMs: LEASE_MS } });
  try {
    const one = await index.peer('p1');
    const row = (await index.catalog.peer('p1')) ?? peerRow();
    // As another server would write them.
    for (let at = 0; at < 2499; at += 1) await index.catalog.putPeer({ ...row, name: `q${at}`, address: `q${at}:1` });
    index.advance(2000);
    const beat = await one.beat();
    expect(beat).toMatchObject({ livePeers: 2500, leaseMs: 25_000, heartbeatMs: 8333 });
    const told = beat.peers.map(({ name }) => name);
    expect(new Set(told).size).toBe(64);
    expect(told).not.toContain('p1');
  } finally {
    await index.stop();
  }
});

test('a connection is kept for the next heartbeat, unless that is long after', async () => {
  const index = await TestIndex.start({ config: { leaseMs: LEASE_MS } });
  try {
    const one = await index.peer('p1');
    const row = (await index.catalog.peer('p1')) ?? peerRow();
    const beat = async () => {
      const body = { state: 'live', incarnation: row.incarnation, files: 0, bytesUsed: 0, bytesFree: 0 };
      const response = await index.request('/api/v1/peers/p1/heartbeat', {
        method: 'POST',
        headers: { authorization: `Bearer ${one.auth.bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return [response.status, response.headers.get('connection')];
    };
    expect(await beat()).toEqual([200, 'keep-alive']);
    for (let at = 0; at < 4999; at += 1) await index.catalog.putPeer({ ...row, name: `q${at}`, address: `q${at}:1` });
    index.advance(2000);
    expect(await beat()).toEqual([200, 'close']);
  } finally {
    await index.stop();
  }
});

test('an index keeps looking after the copies', async () => {
  const index = await TestIndex.start({ config: { leaseMs: 1000 } });
  try {
    const one = await index.peer('p1');
    expect((await one.publish('a', { replicas: 2 })).targets).toEqual([]);
    const two = await index.peer('p2');
    await eventually(async () => (await ordersOf(two, 'replicate')).length === 1);
  } finally {
    await index.stop();
  }
});
