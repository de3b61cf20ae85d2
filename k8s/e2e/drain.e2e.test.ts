import { eventually } from './testing/cluster.js';
import { type FileStat, Release } from './testing/release.js';
import { attempt } from './testing/shell.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

/** Peers without volumes. */
const fleeting = new Release('e2e-drain');
const NAMESPACES = [shared.namespace, fleeting.namespace];

beforeAll(ensureShared);
afterAll(() => shared.kubectl(['delete', 'namespace', fleeting.namespace, '--ignore-not-found', '--wait=false']));

const holdersOf = async (release: Release, seenBy: number, name: string) =>
  (await release.json<FileStat>(seenBy, 'stat', name)).holders
    .filter(({ complete }) => complete)
    .map(({ peer }) => peer)
    .sort();
const attemptIn = (pod: string, ...command: string[]) =>
  attempt('kubectl', ['--namespace', shared.namespace, 'exec', pod, '--', ...command]);

story(
  'a peer that is drained by hand may go: its files are elsewhere, and it takes no new ones',
  NAMESPACES,
  async () => {
    const { sha256 } = await shared.putRandom(0, 'drained', { mib: 20, replicas: 1 });
    expect(await holdersOf(shared, 1, 'drained')).toEqual(['shoal-peer-0']);
    const drained = await shared.json<{ state: string; leftFiles: number }>(0, 'drain');
    expect(drained).toMatchObject({ peer: 'shoal-peer-0', state: 'draining', leftFiles: 0, left: [] });
    expect((await shared.peers(1)).find(({ name }) => name === 'shoal-peer-0')?.state).toBe('draining');
    expect((await holdersOf(shared, 1, 'drained')).filter((peer) => peer !== 'shoal-peer-0')).toHaveLength(1);
    const put = await attemptIn('shoal-peer-0', 'shoal', 'put', '/etc/hostname');
    expect([put.code, put.stderr]).toEqual([5, expect.stringContaining('shoal drain --undo')]);

    const uid = await shared.uidOf('shoal-peer-0');
    await shared.kill('shoal-peer-0');
    expect(await shared.digestAfterGet(2, 'drained')).toBe(sha256);
    await shared.podAgain('shoal-peer-0', uid);
    await shared.waitForPeers(3);
  },
);

story('a rolling restart moves nothing', NAMESPACES, async () => {
  const names = ['stays-0', 'stays-1', 'stays-2'];
  for (const [peer, name] of names.entries()) await shared.putRandom(peer, name, { mib: 5, replicas: 1 });
  await shared.kubectl(['rollout', 'restart', 'statefulset/shoal-peer']);
  await shared.kubectl(['rollout', 'status', 'statefulset/shoal-peer', '--timeout=240s']);
  await shared.waitForPeers(3);
  for (const [peer, name] of names.entries()) {
    await eventually(`the index knows who has ${name}`, 20_000, async () => {
      return (await holdersOf(shared, 0, name)).length > 0;
    });
    expect(await holdersOf(shared, 0, name)).toEqual([`shoal-peer-${peer}`]);
  }
});

story('peers without volumes hand over at each restart, so that nothing is lost', NAMESPACES, async () => {
  await fleeting.install({
    ...{ 'peer.persistence.enabled': false, 'peer.persistence.size': '1Gi', 'peer.replicas': 3 },
    'mongodb.enabled': false,
  });
  await fleeting.waitForPeers(3);
  const digests: string[] = [];
  for (const peer of [0, 1, 2]) {
    digests.push((await fleeting.putRandom(peer, `fleeting-${peer}`, { mib: 5, replicas: 1 })).sha256);
  }
  await fleeting.kubectl(['rollout', 'restart', 'statefulset/shoal-peer']);
  await fleeting.kubectl(['rollout', 'status', 'statefulset/shoal-peer', '--timeout=240s']);
  await fleeting.waitForPeers(3);
  for (const peer of [0, 1, 2]) expect(await fleeting.digestAfterGet(0, `fleeting-${peer}`)).toBe(digests[peer]);
});

noContainerRestarted(NAMESPACES);
