import { randomBytes } from 'node:crypto';
import { isLive, startPeer, startSwarm, type TestPeer } from './testing/harness.js';
import { TestNames } from './testing/names.js';
import type { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';

/* What a rolling update does: the index and the peers go and come back, one after the other, while files are wanted. */

const bytes = randomBytes(300_000);

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let peers: readonly [TestPeer, TestPeer, TestPeer];

async function start(env: NodeJS.ProcessEnv = {}): Promise<void> {
  swarm = await startSwarm(3, { SHOAL_WAIT_SECONDS: '60', ...env });
  peers = swarm.peers as unknown as typeof peers;
}
afterEach(() => swarm.remove(), 30_000);

/** Gets, and resolves at the first word of waiting, with that word and the get, which goes on. */
async function untilItWaits(user: PeerUser, ref: string) {
  let got: ReturnType<PeerUser['get']> | undefined;
  const detail = await new Promise<string>((resolve, reject) => {
    got = user.get(ref, {
      onEvent: ({ progress }) => {
        if (progress?.phase === 'PHASE_WAITING') resolve(progress.detail);
      },
    });
    got.then(() => reject(new Error('it did not wait')), reject);
  });
  return { detail, got: got as ReturnType<PeerUser['get']> };
}

describe('an index that is replaced', () => {
  beforeEach(() => start(), 30_000);

  test('is waited for by a get of a name', async () => {
    const [a, b] = peers;
    await a.user.put(bytes, { name: 'wanted' });
    await swarm.index.stop();
    const { detail, got } = await untilItWaits(b.user, 'wanted');
    expect(detail).toMatch(/^the index at http:\S+ does not answer .*; giving up in \d+ s$/);
    await swarm.index.start();
    expect((await got).data.equals(bytes)).toBe(true);
  }, 60_000);

  test('is waited for by a put, which is then one file and no more', async () => {
    const [a, b] = peers;
    await swarm.index.stop();
    const put = a.user.put(bytes, { name: 'new' });
    const large = a.user.put(randomBytes(2_000_000), { name: 'large' });
    await waitFor('the peer has noticed', async () => !(await a.user.client.call('Status', {})).indexReachable);
    await swarm.index.start();
    expect((await put).file?.name).toBe('new');
    await large;
    const { files } = await b.user.client.call('List', {});
    expect(files.map(({ name }) => name)).toEqual(['large', 'new']);
  }, 60_000);

  test('fails no get of a loop of them', async () => {
    const [a, b] = peers;
    const names = Array.from({ length: 12 }, (_, i) => `file-${i}`);
    for (const name of names) await a.user.put(randomBytes(50_000), { name });
    let isOver = false;
    const restarts = (async () => {
      while (!isOver) {
        await swarm.index.stop();
        await swarm.index.start();
        await isLive(a, 2);
      }
    })();
    for (const name of names) expect((await b.user.get(name)).data).toHaveLength(50_000);
    isOver = true;
    await restarts;
  }, 60_000);
});

describe('peers that restart', () => {
  beforeEach(() => start(), 30_000);

  test('are waited for when nobody else has the file, and the waiting says for whom', async () => {
    const [a, b] = peers;
    const { file } = await a.user.put(bytes, { name: 'only' });
    await a.stop();
    const { detail, got } = await untilItWaits(b.user, 'only');
    expect(detail).toMatch(
      /^no live peer has the missing parts; away, and with all of it: peer-1; giving up in \d+ s$/,
    );
    await a.start();
    expect((await got).data.equals(bytes)).toBe(true);
    expect((await got).found.file?.id).toBe(file?.id);
  }, 60_000);

  test('one after the other fail no get of a loop of them', async () => {
    const [a, b, c] = peers;
    const names = Array.from({ length: 12 }, (_, i) => `file-${i}`);
    const contents = new Map(names.map((name) => [name, randomBytes(200_000)]));
    for (const [name, content] of contents) await b.user.put(content, { name, replicas: 1 });
    let isOver = false;
    const restarts = (async () => {
      while (!isOver) {
        for (const peer of [b, c]) {
          await peer.stop();
          await peer.start();
        }
      }
    })();
    for (const [name, content] of contents) expect((await a.user.get(name)).data.equals(content)).toBe(true);
    isOver = true;
    await restarts;
  }, 120_000);
});

test('a peer is found under its name at another address', async () => {
  const names = new TestNames();
  try {
    await start();
    const [, b] = peers;
    names.set('pod-1.test', '127.0.0.1');
    const settings = { SHOAL_ADVERTISE_ADDRESS: '', SHOAL_LISTEN_ADDRESS: '127.0.0.1' };
    const pod = await startPeer(swarm.index, 'pod-1', settings);
    try {
      const port = pod.daemon.address.slice(pod.daemon.address.lastIndexOf(':') + 1);
      const { file } = await pod.user.put(bytes, { name: 'moves' });
      settings.SHOAL_ADVERTISE_ADDRESS = `pod-1.test:${port}`;
      await pod.kill();
      await pod.start();
      const first = await pod.user.put(randomBytes(1000), { name: 'first' });
      await b.user.get(first.file?.id ?? '');
      expect((await b.user.client.call('PingPeer', { peer: 'pod-1' })).address).toBe(`pod-1.test:${port}`);
      await pod.kill();
      settings.SHOAL_LISTEN_ADDRESS = '127.0.0.2';
      names.set('pod-1.test', '127.0.0.2');
      await pod.start();
      expect((await b.user.get(file?.id ?? '')).data.equals(bytes)).toBe(true);
      await waitFor('it answers a ping again', () =>
        b.user.client.call('PingPeer', { peer: 'pod-1' }).catch(() => undefined),
      );
    } finally {
      await pod.remove();
    }
  } finally {
    names.restore();
  }
}, 60_000);
