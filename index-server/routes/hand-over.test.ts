import { LIMITS } from '../api/values.js';
import { eventually, idOf, TestIndex, type TestPeer } from '../testing/test-index.js';

const LEASE_MS = 10_000;

let index: TestIndex;
let leaving: TestPeer;
let staying: TestPeer;

beforeEach(async () => {
  index = await TestIndex.start({ config: { leaseMs: LEASE_MS } });
  leaving = await index.peer('leaving');
  staying = await index.peer('staying');
});
afterEach(() => index.stop());

const copiesFor = async (peer: TestPeer) =>
  (await peer.beat()).orders.flatMap((order) => (order.do === 'replicate' ? [order] : []));

test('a file that only a draining peer has is ordered from it, and is safe when the copy is announced', async () => {
  const { file } = await leaving.publish('a');
  await leaving.beat('draining');
  expect(await leaving.handOver(file.id)).toEqual({ rest: [{ id: file.id, state: 'copying' }] });
  const [order] = await copiesFor(staying);
  expect(order).toMatchObject({ id: file.id, holders: [{ peer: 'leaving', complete: true }] });
  await staying.announce({ held: [{ id: file.id, complete: false }] });
  expect((await leaving.handOver(file.id)).rest).toEqual([{ id: file.id, state: 'copying' }]);
  await staying.announce({ held: [{ id: file.id, complete: true }] });
  expect(await leaving.handOver(file.id)).toEqual({ rest: [] });
  expect(await copiesFor(staying)).toEqual([]);
});

test('nobody is asked twice, however often it is asked about and however the room changes', async () => {
  const other = await index.peer('other', { bytesFree: 1e11 });
  const { file } = await leaving.publish('a');
  await leaving.beat('draining');
  await leaving.handOver(file.id);
  expect(await copiesFor(staying)).toHaveLength(1);
  await index.client.heartbeat(staying.auth, 'staying', {
    ...{ incarnation: staying.incarnation, state: 'live', files: 0, bytesUsed: 0, bytesFree: 1e6 },
  });
  await leaving.handOver(file.id);
  expect(await copiesFor(other)).toEqual([]);
});

test('a peer that has not said that it drains hands nothing over', async () => {
  const { file } = await leaving.publish('a');
  await expect(leaving.handOver(file.id)).rejects.toMatchObject({ code: 'conflict' });
  await leaving.beat('draining');
  await leaving.handOver(file.id);
  await leaving.beat('live');
  await expect(leaving.handOver(file.id)).rejects.toMatchObject({ code: 'conflict' });
});

test('what nobody can take is said, and why', async () => {
  staying = await index.peer('staying', { bytesFree: 150_000 });
  const { file: small } = await leaving.publish('small');
  const { file: large } = await leaving.publish('large', { size: 200_000, chunks: 4 });
  await leaving.beat('draining');
  expect((await leaving.handOver(small.id, large.id)).rest).toEqual([
    { id: small.id, state: 'copying' },
    { id: large.id, state: 'no_space' },
  ]);
  await staying.beat('draining');
  expect((await leaving.handOver(small.id)).rest).toEqual([{ id: small.id, state: 'no_peer' }]);
});

test('the copy of another peer that leaves does not count', async () => {
  const { file } = await leaving.publish('a');
  await staying.announce({ held: [{ id: file.id, complete: true }] });
  const third = await index.peer('third');
  await staying.beat('draining');
  await leaving.beat('draining');
  expect((await leaving.handOver(file.id)).rest).toEqual([{ id: file.id, state: 'copying' }]);
  expect((await staying.handOver(file.id)).rest).toEqual([{ id: file.id, state: 'copying' }]);
  expect((await copiesFor(third)).map(({ id }) => id)).toEqual([file.id]);
});

test('a peer that has just told another server that it leaves is seen to leave', async () => {
  const { file } = await leaving.publish('a');
  await staying.announce({ held: [{ id: file.id, complete: true }] });
  await leaving.beat('draining');
  expect((await leaving.handOver(file.id)).rest).toEqual([]);
  await index.catalog.heartbeat({
    ...{ name: 'staying', incarnation: staying.incarnation, state: 'draining', leaseUntil: Date.now() + 60_000 },
    ...{ files: 1, bytesUsed: 0, bytesFree: 1e12 },
  });
  expect((await leaving.handOver(file.id)).rest).toEqual([{ id: file.id, state: 'no_peer' }]);
});

test('a file with one copy left elsewhere is safe, and gets the copies wanted all the same', async () => {
  const { file } = await leaving.publish('a', { replicas: 2 });
  await staying.announce({ held: [{ id: file.id, complete: true }] });
  const third = await index.peer('third');
  await leaving.beat('draining');
  expect(await leaving.handOver(file.id)).toEqual({ rest: [] });
  expect((await copiesFor(third)).map(({ id }) => id)).toEqual([file.id]);
});

test('a removed file needs nobody, and one that the index does not know is to be announced', async () => {
  const { file } = await leaving.publish('a');
  await index.client.remove(leaving.auth, 'a');
  await leaving.beat('draining');
  expect((await leaving.handOver(file.id, idOf('never seen'))).rest).toEqual([
    { id: idOf('never seen'), state: 'unknown' },
  ]);
});

test('a peer speaks for itself alone, and of few files at a time', async () => {
  await leaving.beat('draining');
  const body = { incarnation: leaving.incarnation, ids: [idOf('a')] };
  await expect(index.client.handOver(staying.auth, 'leaving', body)).rejects.toMatchObject({ code: 'denied' });
  await expect(leaving.handOver()).rejects.toMatchObject({ code: 'invalid' });
  const many = Array.from({ length: LIMITS.handOver + 1 }, (_, n) => idOf(`file ${n}`));
  await expect(leaving.handOver(...many)).rejects.toMatchObject({ code: 'invalid' });
});

test('the repair goes on with a draining peer that asks no more', async () => {
  await index.stop();
  index = await TestIndex.start({ config: { leaseMs: 100, repairAfterMs: 60_000 } });
  leaving = await index.peer('leaving');
  staying = await index.peer('staying');
  const { file } = await leaving.publish('a');
  await eventually(async () => {
    await Promise.all([leaving, staying].map((peer) => peer.join()));
    await leaving.beat('draining');
    return (await copiesFor(staying)).some(({ id }) => id === file.id);
  });
});

test('what was left behind is counted, once', async () => {
  const lost = () => index.metric('shoal_index_left_behind_files_total');
  await index.client.withdraw(leaving.auth, 'leaving', { leftBehind: 3 });
  await index.client.withdraw(leaving.auth, 'leaving', { leftBehind: 3 });
  await index.client.withdraw(staying.auth, 'staying');
  expect(await lost()).toBe(3);
});
