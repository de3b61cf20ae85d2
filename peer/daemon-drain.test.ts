import { randomBytes } from 'node:crypto';
import type { Place } from '../index-server/api/peers.js';
import { isLive, startIndex, startPeer, startSwarm, type TestIndex, type TestPeer } from './testing/harness.js';
import { metricOf } from './testing/metric-of.js';
import { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';

/* Leaving is clean: what only one peer has is on another before it goes, if it goes for good; a restart moves nothing. */

const bytes = randomBytes(300_000);
let remove: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of remove.reverse()) await end();
  remove = [];
}, 60_000);

async function swarmOf(count: number, env: NodeJS.ProcessEnv = {}): Promise<readonly TestPeer[]> {
  const swarm = await startSwarm(count, env);
  remove.push(swarm.remove);
  return swarm.peers;
}

async function peerAt(index: TestIndex, name: string, env: NodeJS.ProcessEnv = {}): Promise<TestPeer> {
  const peer = await startPeer(index, name, env);
  remove.push(() => peer.remove());
  return peer;
}

async function indexWith(placeOf: () => Place): Promise<TestIndex> {
  const index = await startIndex({}, { of: async () => placeOf() });
  remove.push(() => index.remove());
  return index;
}

const statesSeenBy = async ({ user }: TestPeer) => {
  const { peers } = await user.client.call('ListPeers', {});
  return Object.fromEntries(peers.map(({ name, state }) => [name, state]));
};
const holdersOf = async ({ user }: TestPeer, ref: string) =>
  (await user.client.call('Stat', { ref })).holders.map(({ peer }) => peer).sort();

describe('shoal drain', () => {
  test('has others copy what only this peer has; then it may go, disk and all', async () => {
    const [a, b, c] = (await swarmOf(3)) as [TestPeer, TestPeer, TestPeer];
    const warned = import.meta.jest.fn();
    process.on('warning', warned);
    remove.push(async () => void process.off('warning', warned));
    const names = Array.from({ length: 40 }, (_, n) => `file-${n}`);
    for (const name of names) await a.user.put(randomBytes(2_000), { name });
    await a.user.put(bytes, { name: 'large' });
    expect(await a.user.drain()).toMatchObject({
      ...{ peer: 'peer-1', state: 'draining', files: 41, bytes: 380_000 },
      ...{ leftFiles: 0, leftBytes: 0, left: [], problem: null },
    });
    expect(await metricOf(a, 'shoal_peer_hand_overs_total{code="ok"}')).toBe(1);
    expect(await metricOf(a, 'shoal_peer_draining')).toBe(1);
    expect(await metricOf(a, 'shoal_peer_hand_over_files')).toBe(0);
    expect((await statesSeenBy(b))['peer-1']).toBe('draining');
    await a.kill();
    for (const name of names) await c.user.get(name);
    expect((await b.user.get('large')).data.equals(bytes)).toBe(true);
    // Nothing of the copies stays at signals that live as long as the process.
    expect(warned).not.toHaveBeenCalled();
  }, 60_000);

  test('takes no new files, says so, and takes them again after an undo', async () => {
    const [a, b] = (await swarmOf(2)) as [TestPeer, TestPeer];
    await b.user.put(bytes, { name: 'elsewhere' });
    await a.user.drain();
    const refused = { code: 'unavailable', message: expect.stringContaining('draining') };
    await expect(a.user.put(bytes, { name: 'no' })).rejects.toMatchObject(refused);
    const put = await fetch(`${a.url}/files/no`, { method: 'PUT', body: 'x' });
    expect([put.status, await put.json()]).toEqual([503, expect.objectContaining({ code: 'unavailable' })]);
    // It still reads for who is beside it, and is ready to.
    expect((await a.user.get('elsewhere')).data.equals(bytes)).toBe(true);
    expect((await fetch(`${a.url}/readyz`)).status).toBe(200);
    // Nobody asks it to keep anything.
    const { copies } = await b.user.put(randomBytes(9), { name: 'wanted twice', replicas: 2 });
    expect(copies).toBe(1);

    expect(await a.user.drain(true)).toMatchObject({ peer: 'peer-1', state: 'live' });
    await isLive(a, 2);
    expect((await a.user.put(randomBytes(8), { name: 'yes', replicas: 2 })).copies).toBe(2);
    await waitFor('the copy that was wanted', async () => (await holdersOf(b, 'wanted twice')).length === 2);
  }, 60_000);

  test('a peer that was drained works again after a restart', async () => {
    const [a] = (await swarmOf(2)) as [TestPeer, TestPeer];
    await a.user.drain();
    await a.leave();
    await a.start();
    await a.user.put(bytes, { name: 'again' });
  }, 60_000);

  test('whoever gives up waiting ends the waiting alone, and an undo ends both', async () => {
    const [a] = (await swarmOf(1)) as [TestPeer];
    await a.user.put(bytes, { name: 'only here' });
    for await (const event of a.user.client.drain({})) if (event.progress) break;
    expect((await a.user.client.call('Status', {})).state).toBe('draining');
    const waiting = a.user.drain();
    await waitFor('the hand-over', async () => (await metricOf(a, 'shoal_peer_hand_over_files')) === 1);
    await a.user.drain(true);
    await expect(waiting).rejects.toMatchObject({ code: 'conflict', message: 'the drain was taken back' });
    expect(await metricOf(a, 'shoal_peer_hand_over_files')).toBe(0);
  }, 60_000);

  test('tells what nobody else has room for', async () => {
    const index = await indexWith(() => 'unknown');
    const a = await peerAt(index, 'a');
    const b = await peerAt(index, 'b', { SHOAL_QUOTA_BYTES: '100000' });
    await isLive(b, 2);
    await a.user.put(bytes, { name: 'large' });
    await a.user.put(randomBytes(5_000), { name: 'small' });
    const { problem, left, leftFiles } = await a.user.drain();
    expect(problem).toMatchObject({
      code: 'exhausted',
      message: expect.stringContaining('1 file is only on this peer'),
    });
    expect([leftFiles, left]).toEqual([1, [expect.objectContaining({ size: 300_000, why: 'no_space' })]]);
    expect(await holdersOf(b, 'small')).toContain('b');
  }, 60_000);
});

describe('a peer that is told to stop', () => {
  test('hands over when its place is given up', async () => {
    let place: Place = 'given_up';
    const index = await indexWith(() => place);
    const a = await peerAt(index, 'a', { SHOAL_HAND_OVER: 'scale-down' });
    const b = await peerAt(index, 'b');
    await isLive(a, 2);
    await a.user.put(bytes, { name: 'sole' });
    await a.leave();
    expect((await b.user.get('sole')).data.equals(bytes)).toBe(true);

    await a.start();
    place = 'kept';
    await a.user.put(randomBytes(10), { name: 'stays' });
    await a.leave();
    expect(await holdersOf(b, 'stays')).toEqual([]);
    await a.start();
    await waitFor('its file is back', async () => (await holdersOf(b, 'stays')).join() === 'a');
    expect(await metricOf(b, 'shoal_peer_complete_files')).toBe(1);
  }, 60_000);

  test('hands over whatever its place when its storage goes with it, and not outside a cluster', async () => {
    const index = await indexWith(() => 'unknown');
    const a = await peerAt(index, 'a', { SHOAL_HAND_OVER: 'always' });
    const b = await peerAt(index, 'b', { SHOAL_HAND_OVER: 'scale-down' });
    await isLive(a, 2);
    await a.user.put(bytes, { name: 'sole' });
    await a.leave();
    expect(await holdersOf(b, 'sole')).toEqual(['b']);
    await a.start();
    await b.leave();
    expect(await holdersOf(a, 'sole')).toEqual(['a']);
  }, 60_000);

  test('cannot be told to stay any more', async () => {
    const index = await indexWith(() => 'given_up');
    const a = await peerAt(index, 'a', { SHOAL_HAND_OVER: 'scale-down' });
    await a.user.put(bytes, { name: 'sole' });
    const at = await PeerUser.at(a.config.socketPath);
    const left = a.leave();
    await waitFor('it hands over', async () => (await at.client.call('Status', {})).state === 'draining');
    await expect(at.drain(true)).rejects.toMatchObject({ code: 'conflict' });
    at.close();
    await left;
  }, 60_000);

  test('goes when nobody is there to take its files, and the index counts them', async () => {
    const index = await indexWith(() => 'given_up');
    const a = await peerAt(index, 'a', { SHOAL_HAND_OVER: 'scale-down' });
    await a.user.put(bytes, { name: 'sole' });
    await a.leave();
    const page = await (await fetch(`${index.url}/metrics`)).text();
    expect(page).toContain('shoal_index_left_behind_files_total 1\n');
  }, 60_000);

  test('leaves as for a restart when the index cannot be asked', async () => {
    const index = await indexWith(() => 'given_up');
    const a = await peerAt(index, 'a', { SHOAL_HAND_OVER: 'scale-down' });
    await a.user.put(bytes, { name: 'sole' });
    await index.stop();
    await a.leave();
    await index.start();
    await a.start();
    expect((await a.user.get('sole')).data.equals(bytes)).toBe(true);
  }, 60_000);
});
