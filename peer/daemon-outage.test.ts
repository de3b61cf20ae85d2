import { randomBytes } from 'node:crypto';
import { isLive, startPeer, startSwarm, type TestPeer } from './testing/harness.js';
import { metricOf } from './testing/metric-of.js';
import { startPeerBehindLink } from './testing/pausing-link.js';
import { waitFor } from './testing/wait-for.js';

/* What keeps working, and what comes back, when the index or a peer is away. */

const bytes = randomBytes(300_000);
/** Of files as large as those of these tests. */
const CHUNK_BYTES = 64 * 1024;
const OK_CHUNKS = 'shoal_peer_chunks_total{result="ok"}';

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
beforeEach(async () => {
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterEach(() => swarm.remove(), 30_000);

const stateOf = async (peer: TestPeer) => (await peer.user.client.call('Status', {})).state;

describe('while the index is away', () => {
  test('a public file comes by its id, and nothing comes by name', async () => {
    const { file } = await a.user.put(bytes, { name: 'known', tags: { a: 'b' } });
    const id = file?.id ?? '';
    await swarm.index.stop();
    const { found, data, done } = await b.user.get(id);
    expect(data.equals(bytes)).toBe(true);
    expect(done.receivedBytes).toBeGreaterThanOrEqual(bytes.length);
    expect(found.file).toMatchObject({ id, name: 'known', owner: 'shoal' });
    expect((await b.user.verify(id)).damaged).toBe(0);
    await expect(b.user.get('known')).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('by its id'),
    });
  });

  test('a private file comes only to who has had it before', async () => {
    const ann = await a.user.register('ann');
    const bob = await a.user.register('bob');
    const { file } = await ann.put(bytes, { name: 'secret', visibility: 'private' });
    const id = file?.id ?? '';
    await ann.get(id);
    await bob.client.call('WhoAmI', {});
    await swarm.index.stop();
    expect((await ann.get(id)).data.equals(bytes)).toBe(true);
    await expect(bob.get(id)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(a.user.get(id)).rejects.toMatchObject({ code: 'unavailable' });
    ann.close();
    bob.close();
  }, 60_000);

  test('nothing is published, and nothing stays of the attempt', async () => {
    await swarm.index.stop();
    await expect(a.user.put(randomBytes(2_000_000), { name: 'x' })).rejects.toMatchObject({ code: 'unavailable' });
    expect((await a.user.client.call('Status', {})).bytesUsed).toBe(0);
  });

  test('this peer knows it, and the doctor says what to do', async () => {
    await swarm.index.stop();
    await waitFor('peer-1 is cut off', async () => (await stateOf(a)) === 'cut off', 20_000);
    const status = await a.user.client.call('Status', {});
    expect(status).toMatchObject({ indexReachable: false, indexError: expect.stringContaining(swarm.index.url) });
    const { checks } = await a.user.client.call('Diagnose', {});
    const bad = checks.filter(({ result }) => result === 'CHECK_RESULT_FAILED');
    expect(bad.map(({ name }) => name)).toEqual(['index']);
    expect(bad.every(({ hint }) => hint !== '')).toBe(true);
    await swarm.index.start();
    await isLive(a);
  }, 60_000);

  test('peers stay ready, and one that starts is ready if it has been in the swarm before', async () => {
    const ready = async (peer: TestPeer) => (await fetch(`${peer.url}/readyz`)).status;
    await a.stop();
    await swarm.index.stop();
    await waitFor('b has noticed', async () => !(await b.user.client.call('Status', {})).indexReachable);
    expect(await ready(b)).toBe(200);
    await a.start({ isIndexAway: true });
    await waitFor('a has found the index away', async () => (await ready(a)) === 200);
    expect(await stateOf(a)).toBe('joining');

    const fresh = await startPeer(swarm.index, 'fresh', {}, { isIndexAway: true });
    try {
      await waitFor('it has found the index away', async () => {
        return /^not joined yet: the index at /.test(await (await fetch(`${fresh.url}/readyz`)).text());
      });
      expect(await ready(fresh)).toBe(503);
      await swarm.index.start();
      await waitFor('it has joined', async () => (await ready(fresh)) === 200);
    } finally {
      await fresh.remove();
    }
  }, 60_000);

  test('a peer that starts serves what it has and fetches what others have', async () => {
    const mine = await a.user.put(bytes, { name: 'of-a' });
    const others = await b.user.put(randomBytes(100_000), { name: 'of-b' });
    await swarm.index.stop();
    await a.kill();
    await a.start({ isIndexAway: true });
    expect((await b.user.get(mine.file?.id ?? '')).data.equals(bytes)).toBe(true);
    expect((await a.user.get(others.file?.id ?? '')).data).toHaveLength(100_000);
    expect(await stateOf(a)).toBe('joining');
    await swarm.index.start();
    await isLive(a, 2);
    expect((await a.user.get('of-a')).data.equals(bytes)).toBe(true);
  }, 60_000);
});

describe('an index that lost everything', () => {
  test('gets the catalogue back from the records that peers keep', async () => {
    const { file } = await a.user.put(bytes, { name: 'kept/by peers', tags: { a: 'b' } });
    await swarm.index.wipe();
    const found = await waitFor('the file is listed again', async () => {
      const { files } = await b.user.client.call('List', { prefix: 'kept/' });
      return files[0];
    });
    expect(found).toEqual(file);
    await waitFor('it can be fetched by name', async () => (await b.user.get('kept/by peers')).data.equals(bytes));
  }, 60_000);
});

test('a file that was removed stays removed, though a peer slept through that and the index lost everything', async () => {
  const { copies } = await a.user.put(bytes, { name: 'over', replicas: 2 });
  expect(copies).toBe(2);
  await waitFor('peer-2 has the record', async () => {
    const { holders } = await a.user.client.call('Stat', { ref: 'over' });
    return holders.filter(({ complete }) => complete).length === 2;
  });
  await b.kill();
  await a.user.client.call('Remove', { ref: 'over' });
  await waitFor('peer-1 has dropped it', async () => (await a.user.client.call('Status', {})).files === 0);
  await swarm.index.wipe();
  await b.start();
  await waitFor('peer-2 has dropped it too', async () => (await b.user.client.call('Status', {})).files === 0);
  expect((await a.user.client.call('List', {})).files).toEqual([]);
}, 60_000);

describe('a peer that comes back', () => {
  test('still has what it had, and is known to have it', async () => {
    const { file } = await a.user.put(bytes, { name: 'mine' });
    await a.stop();
    const listed = await b.user.client.call('ListPeers', {});
    expect(listed.peers.map(({ name, state }) => [name, state])).toEqual([
      ['peer-1', 'gone'],
      ['peer-2', 'live'],
    ]);
    expect((await b.user.client.call('Stat', { ref: 'mine' })).holders).toEqual([]);
    await a.start();
    await waitFor('peer-1 is a holder again', async () => {
      const { holders } = await b.user.client.call('Stat', { ref: 'mine' });
      return holders.some(({ peer, complete }) => peer === 'peer-1' && complete);
    });
    expect((await b.user.get(file?.id ?? '')).data.equals(bytes)).toBe(true);
  }, 60_000);

  test('goes on with a get where it was, and fetches what was missing and nothing else', async () => {
    const { peer: holder, link } = await startPeerBehindLink(swarm.index, 'holder');
    try {
      const large = randomBytes(200 * CHUNK_BYTES + 1000);
      const id = (await holder.user.put(large, { name: 'large' })).file?.id ?? '';
      // So many chunks, less what is told beside them, and a part of another one.
      link.pauseAfter(80.5 * CHUNK_BYTES);
      const cut = b.user.get(id).then(
        () => 'whole',
        () => 'cut',
      );
      await waitFor('the holder pauses', () => link.isPaused, 30_000);
      const held = new Set(link.chunks.splice(0));
      // Some may have come twice.
      expect(held.size).toBeGreaterThan(40);
      // A chunk is counted when it is in the journal.
      await waitFor('all that came is held', async () => (await metricOf(b, OK_CHUNKS)) === held.size);
      await b.kill();
      expect(await cut).toBe('cut');

      await b.start();
      link.resume();
      expect((await b.user.client.call('Status', {})).partialFiles).toBe(1);
      expect(await b.user.verify(id)).toMatchObject({ chunks: held.size, damaged: 0 });
      const { data } = await b.user.get(id);
      expect(data.equals(large)).toBe(true);
      expect(link.chunks.filter((chunk) => held.has(chunk))).toEqual([]);
      expect(new Set(link.chunks).size).toBe(201 - held.size);
    } finally {
      await link.close();
      await holder.remove();
    }
  }, 60_000);
});

test('a peer that leaves gives the only copy to who is fetching it, and leaves then', async () => {
  const large = randomBytes(40_000_000);
  const { file } = await a.user.put(large, { name: 'large' });
  let isLeft: Promise<void> | undefined;
  const get = b.user.get(file?.id ?? '', {
    onEvent: ({ data }) => {
      if (data) isLeft ??= a.stop();
    },
  });
  expect((await get).data.equals(large)).toBe(true);
  await isLeft;
}, 60_000);

test('a file survives the peer that published it', async () => {
  const { file } = await a.user.put(bytes, { name: 'left behind' });
  await b.user.get('left behind');
  await a.kill();
  const c = await startPeer(swarm.index, 'peer-3');
  try {
    const { data } = await c.user.get('left behind');
    expect(data.equals(bytes)).toBe(true);
    expect((await c.user.verify(file?.id ?? '')).damaged).toBe(0);
  } finally {
    await c.remove();
  }
}, 60_000);

test('a second daemon on the same folder is told that there is one', async () => {
  await expect(a.start()).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('SHOAL_DATA_DIR') });
  expect(await stateOf(a)).toBe('live');
});
