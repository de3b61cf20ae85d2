import { createHash, randomBytes } from 'node:crypto';
import { link, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { waitFor } from './testing/wait-for.js';

/* A file's way through two peers, as a person at the control socket sees it. */

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const MIB = 1024 * 1024;

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-e2e-'));
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
  await rm(folder, { recursive: true });
}, 30_000);

describe('a file that the daemon can open itself', () => {
  const bytes = randomBytes(3 * MIB + 1);
  const name = 'data/größe 1.bin';
  let id: string;

  test('is published with its digest', async () => {
    const path = join(folder, 'source');
    await writeFile(path, bytes);
    const done = await a.user.putFile(path, { name, tags: { kind: 'test' } });
    const { file } = done;
    expect(file).toMatchObject({
      name,
      owner: 'shoal',
      size: bytes.length,
      tags: { kind: 'test' },
      visibility: 'public',
    });
    expect(done).toMatchObject({ sha256: sha256(bytes), copies: 1 });
    id = file?.id ?? '';
  });

  test('comes out on another peer, into a file that the caller made', async () => {
    const path = join(folder, 'target');
    const { found, done, data } = await b.user.get(name, { path });
    expect(found).toMatchObject({ file: { id, name }, sha256: sha256(bytes), streaming: false });
    expect(done).toEqual({ receivedBytes: bytes.length, peers: 1 });
    expect(data).toHaveLength(0);
    expect(sha256(await readFile(path))).toBe(sha256(bytes));
  });

  test('is told of in full, with both of its holders', async () => {
    const detail = await waitFor('two complete holders', async () => {
      const answer = await a.user.client.call('Stat', { ref: `shoal/${name}` });
      return answer.holders.filter(({ complete }) => complete).length === 2 ? answer : undefined;
    });
    expect(detail).toMatchObject({ file: { id }, sha256: sha256(bytes), replicas: 1, version: 1, readers: [] });
    expect(detail.holders.map(({ address }) => address).sort()).toEqual([a.daemon.address, b.daemon.address].sort());
    expect(Math.ceil(bytes.length / detail.chunkBytes)).toBe(detail.chunks);
  });

  test('is not fetched again by who has it', async () => {
    const { done, data } = await b.user.get(id);
    expect(done).toEqual({ receivedBytes: 0, peers: 0 });
    expect(sha256(data)).toBe(sha256(bytes));
  });

  test('is verified chunk by chunk where it is held', async () => {
    const { chunks, damaged } = await b.user.verify(name);
    expect(chunks).toBeGreaterThan(1);
    expect(damaged).toBe(0);
  });

  test('is listed, found by a word of its name, and tagged', async () => {
    const listed = await b.user.client.call('List', { prefix: 'data/', tags: ['kind=test'], limit: 10 });
    expect(listed.files.map((file) => file.id)).toEqual([id]);
    const found = await b.user.client.call('Find', { text: 'größ' });
    expect(found.files.map((file) => file.id)).toEqual([id]);
    await b.user.client.call('Tag', { ref: id, set: { stage: 'raw' }, unset: ['kind'] });
    expect((await a.user.client.call('Stat', { ref: id })).file?.tags).toEqual({ stage: 'raw' });
  });

  test('is gone from the catalogue and both disks when it is removed', async () => {
    expect(await a.user.client.call('Remove', { ref: name })).toEqual({ removed: 1 });
    await expect(b.user.get(name)).rejects.toMatchObject({ code: 'not_found' });
    await waitFor('both stores are empty', async () => {
      const states = await Promise.all([a, b].map((peer) => peer.user.client.call('Status', {})));
      return states.every((status) => status.files === 0 && status.bytesUsed === 0);
    });
  });
});

describe('bytes that are sent', () => {
  const sizes = [0, 1, 65_536, 65_537, 5 * MIB];
  test.each(sizes)('%i of them come out as they went in', async (size) => {
    const bytes = randomBytes(size);
    const { file } = await a.user.put(bytes, { name: `sent/${size}` });
    const { found, data } = await b.user.get(file?.id ?? '');
    expect(found).toMatchObject({ streaming: true, sha256: sha256(bytes) });
    expect(data.equals(bytes)).toBe(true);
  });

  test('need not be counted beforehand', async () => {
    const bytes = randomBytes(300_000);
    const { file, sha256: digest } = await a.user.put(bytes, { name: 'sent/uncounted' }, { isSizeKnown: false });
    expect(file?.size).toBe(bytes.length);
    expect(digest).toBe(sha256(bytes));
  });

  test('that end too early are published under no name', async () => {
    const bytes = randomBytes(100_000);
    const put = a.user.put(bytes, { name: 'sent/short', size: 200_000 }, { isSizeKnown: false });
    await expect(put).rejects.toMatchObject({ code: expect.stringMatching(/invalid|conflict/) });
    await expect(a.user.client.call('Stat', { ref: 'sent/short' })).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('the same content', () => {
  test('under two names is one file, and stays until both are removed', async () => {
    const bytes = randomBytes(100_000);
    const first = await a.user.put(bytes, { name: 'twice/one' });
    const second = await b.user.put(bytes, { name: 'twice/two' });
    expect(second.file?.id).toBe(first.file?.id);
    await a.user.client.call('Remove', { ref: 'twice/one' });
    expect((await a.user.get('twice/two')).data.equals(bytes)).toBe(true);
  });

  test('can be published again at once after it was removed', async () => {
    const bytes = randomBytes(100_000);
    for (let round = 0; round < 20; round++) {
      await a.user.put(bytes, { name: 'again' });
      await a.user.client.call('Remove', { ref: 'again' });
    }
    await a.user.put(bytes, { name: 'again' });
    // Long enough for every order that is on its way.
    const before = (await a.user.client.call('Status', {})).uptimeSeconds;
    await waitFor('two heartbeats', async () => (await a.user.client.call('Status', {})).uptimeSeconds > before + 2);
    expect((await b.user.get('again')).data.equals(bytes)).toBe(true);
  });

  test('under one name by two people at once is two versions or one, and never lost', async () => {
    const [mine, yours] = [randomBytes(70_000), randomBytes(70_000)];
    await Promise.all([a.user.put(mine, { name: 'race' }), b.user.put(yours, { name: 'race' })]);
    const { data } = await a.user.get('race');
    expect([mine, yours].some((bytes) => bytes.equals(data))).toBe(true);
  });
});

describe('bad input', () => {
  const bytes = Buffer.from('abc');
  test.each([
    ['an empty name', { name: '' }, 'is empty'],
    ['a name that climbs', { name: 'a/../b' }, "'.' or '..'"],
    ['a name with a line break', { name: 'a\nb' }, 'control character'],
    ['a name that is too long', { name: 'x'.repeat(1025) }, '1025 bytes'],
    ['a visibility that is none', { name: 'x', visibility: 'secret' }, "'secret' is not public or private"],
    ['too many copies', { name: 'x', replicas: 101 }, 'replicas'],
    ['a tag that is none', { name: 'x', tags: { 'a b': '1' } }, 'tags'],
  ])('%s is refused, naming it', async (_what, start, words) => {
    await expect(a.user.put(bytes, start)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(words),
    });
  });

  test('a call with no file named is invalid', async () => {
    await expect(a.user.get('')).rejects.toMatchObject({ code: 'invalid' });
    await expect(a.user.client.call('Stat', { ref: '' })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('what does not exist is not found', async () => {
    await expect(a.user.get('no such file')).rejects.toMatchObject({ code: 'not_found' });
    await expect(a.user.get('0'.repeat(64))).rejects.toMatchObject({ code: 'not_found' });
    await expect(a.user.verify('no such file')).rejects.toMatchObject({ code: 'not_found' });
    await expect(a.user.client.call('PingPeer', { peer: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a target that is not empty is left alone', async () => {
    await a.user.put(bytes, { name: 'target-test' });
    const path = join(folder, 'mine');
    await writeFile(path, 'do not touch');
    const { dev, ino } = await stat(path, { bigint: true });
    const get = async () => {
      const target = { path, device: `${dev}`, inode: `${ino}` };
      for await (const _event of a.user.client.get({ ref: 'target-test', target }));
    };
    await expect(get()).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(path) });
    expect(await readFile(path, 'utf8')).toBe('do not touch');
  });

  test('a path that is not what the caller sees is neither read nor written', async () => {
    await a.user.put(bytes, { name: 'other-file' });
    const path = join(folder, 'other');
    await writeFile(path, '');
    const { dev, ino } = await stat(path, { bigint: true });
    await link(path, join(folder, 'kept'));
    await rm(path);
    await writeFile(path, '');
    let isStreaming = false;
    const target = { path, device: `${dev}`, inode: `${ino}` };
    for await (const event of a.user.client.get({ ref: 'other-file', target }))
      isStreaming ||= event.found?.streaming === true;
    expect(isStreaming).toBe(true);
    expect((await stat(path)).size).toBe(0);
  });
});

describe('the swarm', () => {
  test('is listed, pinged and found in good health', async () => {
    const { peers } = await a.user.client.call('ListPeers', {});
    expect(peers.map(({ name, state }) => [name, state])).toEqual([
      ['peer-1', 'live'],
      ['peer-2', 'live'],
    ]);
    const pong = await a.user.client.call('PingPeer', { peer: 'peer-2' });
    expect(pong.address).toBe(b.daemon.address);
    expect(pong.roundTripMs).toBeGreaterThan(0);
    const { checks } = await a.user.client.call('Diagnose', {});
    expect(checks.filter(({ result }) => result !== 'CHECK_RESULT_OK')).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      'index',
      'membership',
      'clock',
      'encryption',
      'own address',
      'other peers',
      'versions',
      'space',
      'disk',
      'data folder',
      'share folder',
    ]);
  });

  test('copies are made when they are asked for, and waited for', async () => {
    const bytes = randomBytes(2 * MIB);
    const { file, copies } = await a.user.put(bytes, { name: 'copied', replicas: 2 });
    expect(copies).toBe(2);
    expect((await b.user.verify(file?.id ?? '')).chunks).toBeGreaterThan(0);
  });

  test('copies are made as well when nobody waits for them', async () => {
    const { file, copies } = await a.user.put(randomBytes(MIB), { name: 'copied-later', replicas: 2, noWait: true });
    expect(copies).toBe(1);
    await waitFor('the copy on peer-2', async () => {
      const { holders } = await a.user.client.call('Stat', { ref: file?.id ?? '' });
      return holders.some(({ peer, complete }) => peer === 'peer-2' && complete);
    });
  });

  test('what cannot be made for want of peers is no error', async () => {
    const { copies } = await a.user.put(randomBytes(1000), { name: 'too-few-peers', replicas: 5 });
    expect(copies).toBe(2);
  });
});
