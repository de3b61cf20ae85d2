import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Signer } from './signer.js';
import { idOf, TestIndex, type TestPeer } from './testing/test-index.js';

const password = 'correct horse';

describe('an index whose store was lost', () => {
  let folder: string;
  let index: TestIndex;
  let peer: TestPeer;
  let records: string[];

  async function loseStore(): Promise<void> {
    await index.stop();
    for (const file of await readdir(folder)) if (file !== 'signing-key.pem') await rm(join(folder, file));
    index = await TestIndex.start({ folder });
    peer = await index.peer('p1');
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-restore-'));
    index = await TestIndex.start({ folder });
    peer = await index.peer('p1');
    const ann = (await index.client.register(undefined, { username: 'ann', password })).token;
    await index.client.register(undefined, { username: 'bob', password });
    records = [
      (await peer.publish('public', { tags: { a: 'b' } })).record,
      (await peer.publish('private', { as: ann, visibility: 'private', readers: ['bob'], replicas: 3 })).record,
    ];
  });
  afterEach(async () => {
    await index.stop();
    await rm(folder, { recursive: true });
  });

  test('gets its catalogue back from what a peer holds', async () => {
    await loseStore();
    const held = ['public', 'private'].map((name) => ({ id: idOf(name), complete: true }));
    const { unknown } = await peer.announce({ held, full: 'only' });
    expect(unknown).toEqual(held.map(({ id }) => id));
    expect(await index.client.restore(peer.auth, 'p1', records)).toEqual({ restored: 2, refused: 0 });
    expect((await peer.announce({ held })).unknown).toEqual([]);
    const located = await index.client.locate(peer.auth, { ref: 'public' });
    expect(located.record).toBe(records[0]);
    expect(located.file).toMatchObject({ owner: 'shoal', tags: { a: 'b' } });
    expect(await index.metric('shoal_index_restored_records_total{result="restored"}')).toBe(2);
  });

  test('locks owners whose accounts are gone, and lets nobody inherit', async () => {
    await loseStore();
    const thief = (await index.client.register(undefined, { username: 'ann', password })).token;
    expect(await index.client.restore(peer.auth, 'p1', records)).toEqual({ restored: 2, refused: 0 });
    for (const ref of ['private', 'ann/private', idOf('private')]) {
      await expect(index.client.stat({ bearer: thief }, ref)).rejects.toMatchObject({ code: 'not_found' });
    }
    const [row] = await index.catalog.allVersionsWithId(idOf('private'), 1);
    expect(row?.owner).toMatch(/^ann\.was-[0-9a-f]{12}$/);
    const attempt = index.client.login(undefined, { username: row?.owner as string, password });
    await expect(attempt).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await index.catalog.userByName(row?.owner as string)).toMatchObject({ locked: true, passwordHash: null });
  });

  test('keeps the name of an owner when nobody has taken it', async () => {
    await loseStore();
    await Promise.all([records, records].map((list) => index.client.restore(peer.auth, 'p1', list)));
    expect(await index.catalog.userByName('ann')).toMatchObject({ locked: true });
    await expect(index.client.register(undefined, { username: 'ann', password })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await index.client.restore(peer.auth, 'p1', records)).toEqual({ restored: 0, refused: 2 });
  });

  test('believes nothing but its own signature', async () => {
    await loseStore();
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const stranger = await Signer.fromPem(pem);
    const claims = await index.signer.verifyRecord(records[0] as string);
    const bad = [await stranger.record(claims), 'nonsense', peer.joined.peerToken, `${records[0]}x`];
    expect(await index.client.restore(peer.auth, 'p1', bad)).toEqual({ restored: 0, refused: 4 });
  });

  test('does not take back what was removed since', async () => {
    await index.client.remove(peer.auth, 'public');
    expect(await index.client.restore(peer.auth, 'p1', records.slice(0, 1))).toEqual({ restored: 0, refused: 1 });
    const tombstone = await index.signer.record({
      ...(await index.signer.verifyRecord(records[0] as string)),
      kind: 'tombstone',
      publishedAt: new Date(Date.now() + 60_000).toISOString(),
    });
    await loseStore();
    const both = [records[0] as string, tombstone];
    expect(await index.client.restore(peer.auth, 'p1', both)).toEqual({ restored: 1, refused: 1 });
    await expect(index.client.stat(peer.auth, 'public')).rejects.toMatchObject({ code: 'not_found' });
  });

  test.each(['before', 'after'])('forgets what a tombstone that comes %s the record proves', async (when) => {
    const other = await index.peer('p2');
    await other.announce({ held: [{ id: idOf('public'), complete: true }] });
    index.advance(1_000);
    await index.client.remove(peer.auth, 'public');
    const { orders } = await other.beat();
    const [proof = ''] = orders.flatMap((order) => (order.do === 'drop' ? (order.tombstones ?? []) : []));
    await loseStore();
    const late = await index.peer('p2');
    const record = records[0] as string;
    if (when === 'before') await index.client.restore(peer.auth, 'p1', [proof]);
    const held = [{ id: idOf('public'), complete: true }];
    const { unknown } = await late.announce({ held, full: 'only' });
    if (unknown.length > 0) await index.client.restore(late.auth, 'p2', [record]);
    if (when === 'after') {
      expect((await index.client.stat(peer.auth, 'public')).id).toBe(idOf('public'));
      await index.client.restore(peer.auth, 'p1', [proof]);
    }
    await expect(index.client.stat(peer.auth, 'public')).rejects.toMatchObject({ code: 'not_found' });
    const { removed } = await late.announce({ held });
    const dropped = (await late.beat()).orders.filter((order) => order.do === 'drop').map(({ id }) => id);
    expect(when === 'before' ? removed : dropped).toEqual([idOf('public')]);
    expect(await index.client.restore(late.auth, 'p2', [record])).toEqual({ restored: 0, refused: 1 });
  });

  describe('and records of one version that differ', () => {
    let older: string;
    let newer: string;
    beforeEach(async () => {
      older = records[0] as string;
      await index.client.patch(peer.auth, 'public', { visibility: 'private' });
      newer = (await index.client.locate(peer.auth, { ref: 'public' })).record;
      await loseStore();
    });
    const current = async () => (await index.catalog.allVersionsWithId(idOf('public'), 9)).map(({ record }) => record);

    test('ends with the newer, whichever comes first', async () => {
      expect(await index.client.restore(peer.auth, 'p1', [older])).toEqual({ restored: 1, refused: 0 });
      expect(await index.client.restore(peer.auth, 'p1', [newer])).toEqual({ restored: 1, refused: 0 });
      expect(await current()).toEqual([newer]);
      expect(await index.client.restore(peer.auth, 'p1', [older])).toEqual({ restored: 0, refused: 1 });
      expect(await current()).toEqual([newer]);
      const { token } = await index.client.register(undefined, { username: 'eve', password });
      await expect(index.client.stat({ bearer: token }, idOf('public'))).rejects.toMatchObject({ code: 'not_found' });
    });

    test('tells those who hold the older', async () => {
      const other = await index.peer('p2');
      await other.announce({ held: [{ id: idOf('public'), complete: true }] });
      await index.client.restore(peer.auth, 'p1', [older]);
      expect((await other.beat()).orders).toEqual([]);
      await index.client.restore(peer.auth, 'p1', [newer]);
      expect((await other.beat()).orders).toEqual([{ do: 'update', id: idOf('public'), records: [newer] }]);
    });

    test('keeps what its owner changed since', async () => {
      await index.client.restore(peer.auth, 'p1', [older]);
      index.advance(60_000);
      await index.client.patch(peer.auth, 'public', { tags: { since: 'then' } });
      const since = await current();
      expect(await index.client.restore(peer.auth, 'p1', [newer])).toEqual({ restored: 0, refused: 1 });
      expect(await current()).toEqual(since);
    });
  });
});
