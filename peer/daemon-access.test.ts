import { randomBytes } from 'node:crypto';
import { IndexClient } from '../index-server/client.js';
import { isLive, startPeer, startSwarm, type TestPeer } from './testing/harness.js';
import { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';
import { createRemotePeers } from './transfers.js';

/* Who may do what: accounts, sessions, private files. */

const bytes = randomBytes(200_000);

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let ann: PeerUser;
let bob: PeerUser;
let bobAtB: PeerUser;
beforeAll(async () => {
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
  ann = await a.user.register('ann');
  bob = await a.user.register('bob');
  const { session, expiresAt } = await b.user.client.call('Login', { username: 'bob', password: 'bob-password' });
  bobAtB = await PeerUser.at(b.config.socketPath, { session: { username: 'bob', token: session, expiresAt } });
}, 30_000);
afterAll(async () => {
  for (const user of [ann, bob, bobAtB]) user.close();
  await swarm.remove();
}, 30_000);

describe('an account', () => {
  test('is who one is while logged in, and the peer its own otherwise', async () => {
    expect(await ann.client.call('WhoAmI', {})).toMatchObject({ username: 'ann', peerAccount: false });
    expect(await a.user.client.call('WhoAmI', {})).toEqual({ username: 'shoal', peerAccount: true, expiresAt: '' });
  });

  test('is not had twice, nor with the wrong password, nor under the name of the peers', async () => {
    await expect(a.user.register('ann')).rejects.toMatchObject({ code: 'conflict' });
    const login = a.user.client.call('Login', { username: 'ann', password: 'not this one' });
    await expect(login).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(a.user.register('shoal')).rejects.toMatchObject({
      code: expect.stringMatching(/conflict|invalid|denied/),
    });
  });

  test('ends its session with a logout, and every other one with a new password', async () => {
    const first = await a.user.register('carl');
    const { session, expiresAt } = await a.user.client.call('Login', { username: 'carl', password: 'carl-password' });
    const second = await PeerUser.at(a.config.socketPath, { session: { username: 'carl', token: session, expiresAt } });
    await second.client.call('ChangePassword', { currentPassword: 'carl-password', newPassword: 'another password' });
    await waitFor('the first session is over', async () => {
      const still = await first.client.call('WhoAmI', {}).catch((error: { code: string }) => error.code);
      return still === 'unauthenticated';
    });
    await second.client.call('Logout', {});
    await expect(second.client.call('WhoAmI', {})).rejects.toMatchObject({ code: 'unauthenticated' });
    first.close();
    second.close();
  });

  test('that nobody is logged in to has no session to end', async () => {
    await expect(a.user.client.call('Logout', {})).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('of a session that the index does not know may do nothing', async () => {
    const stranger = await PeerUser.at(a.config.socketPath, {
      session: { username: 'eve', token: 'made-up', expiresAt: '2099-01-01T00:00:00Z' },
    });
    await expect(stranger.put(bytes, { name: 'x' })).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(stranger.get('x')).rejects.toMatchObject({ code: 'unauthenticated' });
    stranger.close();
  });
});

describe('a private file', () => {
  let id: string;
  beforeAll(async () => {
    const { file } = await ann.put(bytes, { name: 'diary', visibility: 'private' });
    id = file?.id ?? '';
  });

  test('is for its owner alone', async () => {
    expect((await ann.get('diary')).data.equals(bytes)).toBe(true);
    for (const other of [bob, bobAtB, a.user, b.user]) {
      for (const ref of [id, 'ann/diary']) {
        await expect(other.get(ref)).rejects.toMatchObject({ code: 'not_found' });
        await expect(other.client.call('Stat', { ref })).rejects.toMatchObject({ code: 'not_found' });
        await expect(other.verify(ref)).rejects.toMatchObject({ code: 'not_found' });
      }
      expect((await other.client.call('Find', { text: 'diary' })).files).toEqual([]);
    }
  });

  test('is read by whom it is shared with, on any peer, until it no longer is', async () => {
    const shared = await ann.client.call('Share', { ref: 'diary', addReaders: ['bob'] });
    expect(shared.readers).toEqual(['bob']);
    const { data, done } = await bobAtB.get('ann/diary');
    expect(data.equals(bytes)).toBe(true);
    expect(done.receivedBytes).toBeGreaterThanOrEqual(bytes.length);
    await expect(b.user.get(id)).rejects.toMatchObject({ code: 'not_found' });
    await ann.client.call('Share', { ref: 'diary', removeReaders: ['bob'] });
    await expect(bobAtB.get('ann/diary')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is neither removed nor changed by others', async () => {
    for (const call of [
      bob.client.call('Remove', { ref: 'ann/diary' }),
      bob.client.call('Tag', { ref: 'ann/diary', set: { a: 'b' } }),
      bob.client.call('Share', { ref: id, visibility: 'public' }),
    ]) {
      await expect(call).rejects.toMatchObject({ code: expect.stringMatching(/denied|not_found/) });
    }
  });

  test('is copied to other peers all the same', async () => {
    const { copies, file } = await ann.put(randomBytes(300_000), { name: 'safe', visibility: 'private', replicas: 2 });
    expect(copies).toBe(2);
    await waitFor('peer-2 keeps its record', async () => {
      const { holders } = await ann.client.call('Stat', { ref: file?.id ?? '' });
      return holders.filter(({ complete }) => complete).length === 2;
    });
  });

  test('has its record at a copy when that is made, without an order of the index', async () => {
    const { file } = await ann.put(randomBytes(300_000), { name: 'kept', visibility: 'private', replicas: 1 });
    const id = file?.id ?? '';
    const { session } = await a.user.client.call('Login', { username: 'ann', password: 'ann-password' });
    const index = new IndexClient({}, { baseUrl: swarm.index.url, timeoutMs: 10_000 });
    const { ticket } = await index.locate({ bearer: session }, { ref: id });
    const { peers } = createRemotePeers(undefined);
    try {
      await peers.replicate(b.daemon.address, { id, ticket }, new AbortController().signal);
    } finally {
      peers.close();
    }
    // One copy was wanted and is there, so no order comes; and a file without a record is not announced.
    await waitFor('peer-2 is a holder', async () => {
      const { holders } = await ann.client.call('Stat', { ref: id });
      return holders.some(({ peer, complete }) => peer === 'peer-2' && complete);
    });
  });

  test('becomes public when its owner says so', async () => {
    await ann.client.call('Share', { ref: 'diary', visibility: 'public' });
    expect((await b.user.get(id)).data.equals(bytes)).toBe(true);
  });
});

test('with SHOAL_REQUIRE_LOGIN nothing works without a session but what leads to one', async () => {
  const strict = await startPeer(swarm.index, 'strict', { SHOAL_REQUIRE_LOGIN: 'true' });
  try {
    await isLive(strict);
    const { client } = strict.user;
    const refused = [
      strict.user.put(bytes, { name: 'x' }),
      strict.user.get('diary'),
      client.call('List', {}),
      client.call('WhoAmI', {}),
    ];
    for (const call of refused) await expect(call).rejects.toMatchObject({ code: 'unauthenticated' });
    expect((await client.call('Diagnose', {})).checks.length).toBeGreaterThan(0);
    const dora = await strict.user.register('dora');
    expect((await dora.put(bytes, { name: 'of-dora' })).file?.owner).toBe('dora');
    dora.close();
  } finally {
    await strict.remove();
  }
});
