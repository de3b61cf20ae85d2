import { KubernetesSlices } from '../pods/kubernetes-slices.js';
import { KubernetesApi } from '../testing/kubernetes-api.js';
import { eventually, idOf, TestIndex, type TestPeer } from '../testing/test-index.js';

/*
 * What the answers of the index owe to the pods of the peers. The clock of the index stands still, so no lease ends here; a
 * second passes where rows are to be read again that nothing but a heartbeat has changed.
 */

const password = 'correct horse';

let api: KubernetesApi;
let index: TestIndex;
let a: TestPeer;
let b: TestPeer;

beforeEach(async () => {
  api = await KubernetesApi.start();
  api.setSlice('s', [{ name: 'a' }, { name: 'b' }]);
  const options = { service: 'shoal-peer', namespace: 'team-a', watchSeconds: 60, timeoutMs: 5_000 };
  index = await TestIndex.start({ slices: new KubernetesSlices({ load: async () => api.kubeConfig }, options) });
  a = await index.peer('a');
  b = await index.peer('b');
  await eventually(async () => (await index.metric('shoal_index_pod_watch_in_sync')) === 1);
});
afterEach(async () => {
  await index.stop();
  await api.stop();
});

const states = async () =>
  Object.fromEntries((await index.client.peers(b.auth)).map(({ name, state }) => [name, state]));
const becomes = (state: string) => eventually(async () => (await states())['a'] === state);
const holders = async (ref: string) =>
  (await index.client.locate(b.auth, { ref })).file.holders.map(({ peer }) => peer);

test('a peer whose pod is gone is in no answer, and its process cannot talk itself back', async () => {
  const { token } = await index.client.register(undefined, { username: 'ann', password });
  await index.client.seedLogin(undefined, { username: 'ann', password, url: a.address });
  await a.publish('f', { as: token });
  const third = await index.peer('c');
  await third.announce({ held: [{ id: idOf('f'), complete: false }] });
  api.setSlice('s', [{ name: 'b' }]);
  await becomes('gone');
  await a.beat();
  await a.announce({ held: [{ id: idOf('f'), complete: true }], full: 'only' });
  expect((await states())['a']).toBe('gone');
  expect(await holders('ann/f')).toEqual(['c']);
  expect((await index.client.stat({ bearer: token }, 'f')).holders.map(({ peer }) => peer)).toEqual(['c']);
  expect((await b.beat()).peers.map(({ name }) => name)).toEqual(['c']);
  expect((await b.beat()).livePeers).toBe(2);
  const search = await index.client.seedSearch({ bearer: token }, { files: ['f'] });
  expect(search).toMatchObject({ status: 200, body: { files: [] } });
  const login = await index.client.seedLogin(undefined, { username: 'ann', password, url: a.address });
  expect(login.status).toBe(400);
  expect(await index.metric('shoal_index_peers{state="gone"}')).toBe(1);
});

test('no copy is made from a peer whose pod is gone, nor on it', async () => {
  await a.publish('f');
  api.setSlice('s', [{ name: 'b' }]);
  await becomes('gone');
  await index.client.patch(b.auth, 'f', { replicas: 2 });
  expect((await b.beat()).orders).toEqual([]);
  const { targets } = await b.publish('g', { replicas: 2 });
  expect(targets).toEqual([]);
});

test('its next process is live as soon as it joins, whatever is known of its pod', async () => {
  await a.publish('f');
  api.setSlice('s', [{ name: 'b' }]);
  await becomes('gone');
  const next = await index.peer('a');
  expect((await states())['a']).toBe('live');
  expect(await holders('f')).toEqual(['a']);
  api.setSlice('s', [{ name: 'a', serving: false }, { name: 'b' }]);
  await next.beat();
  api.setSlice('s', [{ name: 'a' }, { name: 'b' }]);
  // The watch has told of it when it tells of what came later.
  api.setSlice('s', [{ name: 'a' }]);
  await eventually(async () => (await states())['b'] === 'gone');
  expect((await states())['a']).toBe('live');
});

test('a peer whose pod terminates drains: it is asked only for what nobody else has', async () => {
  await a.publish('both');
  await b.announce({ held: [{ id: idOf('both'), complete: true }] });
  await a.publish('only');
  const c = await index.peer('c');
  api.setSlice('s', [{ name: 'a', terminating: true }, { name: 'b' }]);
  await becomes('draining');
  const located = async (ref: string) =>
    (await index.client.locate(c.auth, { ref })).file.holders.map(({ peer }) => peer);
  expect(await located('both')).toEqual(['b']);
  expect(await located('only')).toEqual(['a']);
  expect((await c.beat()).peers.map(({ name }) => name)).toEqual(['b']);
  const { targets } = await c.publish('new', { replicas: 3 });
  expect(targets.map(({ peer }) => peer)).toEqual(['b']);
  expect(await index.metric('shoal_index_peers{state="draining"}')).toBe(1);
});

test('a peer whose container died is gone, and back with its next heartbeat or its next good probe', async () => {
  api.setSlice('s', [{ name: 'a', serving: false }, { name: 'b' }]);
  await becomes('gone');
  await a.beat();
  index.advance(1_000);
  await becomes('live');
  api.setSlice('s', [{ name: 'a' }, { name: 'b' }]);
  api.setSlice('s', [{ name: 'a', serving: false }, { name: 'b' }]);
  await becomes('gone');
  api.setSlice('s', [{ name: 'a' }, { name: 'b' }]);
  await becomes('live');
});

test('a watch that is lost takes nobody away who still speaks', async () => {
  api.setSlice('s', [{ name: 'b' }]);
  await becomes('gone');
  api.forbidden.add('watch').add('list');
  api.breakWatches();
  await eventually(async () => (await index.metric('shoal_index_pod_watch_in_sync')) === 0);
  expect((await states())['a']).toBe('gone');
  await a.beat();
  index.advance(1_000);
  await becomes('live');
});

test('a store that is away when a pod goes costs only time', async () => {
  let isAway = false;
  await index.stop();
  const options = { service: 'shoal-peer', namespace: 'team-a', watchSeconds: 60, timeoutMs: 5_000 };
  index = await TestIndex.start({
    slices: new KubernetesSlices({ load: async () => api.kubeConfig }, options),
    wrap: (plain) =>
      Object.assign(Object.create(plain) as typeof plain, {
        peers: async (goneBefore: number) => {
          if (isAway) throw new Error('away');
          return plain.peers(goneBefore);
        },
      }),
  });
  a = await index.peer('a');
  b = await index.peer('b');
  await eventually(async () => (await index.metric('shoal_index_pod_watch_in_sync')) === 1);
  isAway = true;
  api.setSlice('s', [{ name: 'b' }]);
  await eventually(async () => api.watchers === 1);
  await expect(index.client.peers(b.auth)).rejects.toThrow();
  isAway = false;
  await becomes('gone');
});

test('a located file that only a peer has which went tells of that peer', async () => {
  const { file } = await a.publish('f');
  await b.announce({ held: [{ id: idOf('f'), complete: false }] });
  const away = async () => (await index.client.locate(b.auth, { ref: file.id })).away;
  expect(await away()).toBeUndefined();
  api.setSlice('s', [{ name: 'b' }]);
  await becomes('gone');
  expect(await away()).toEqual(['a']);
  const next = await index.peer('a');
  expect(await away()).toBeUndefined();
  await index.client.withdraw(next.auth, 'a');
  expect(await away()).toEqual(['a']);
  index.advance(11 * 60_000);
  expect(await away()).toEqual([]);
});
