import { ensureNamespace, eventually } from './testing/cluster.js';
import { flags, Release } from './testing/release.js';
import { SmallVolume } from './testing/small-volume.js';
import { noContainerRestarted, story } from './testing/story.js';

const NAMESPACE = 'e2e-bad-input';
const NAMESPACES = [NAMESPACE];
const EMBEDDED = { 'mongodb.enabled': false, 'peer.replicas': 1, 'peer.fileReplicas': 1 };

beforeAll(() => ensureNamespace(NAMESPACE));

describe('values that are wrong are refused in words that name them', () => {
  const release = new Release(NAMESPACE, 'shoal-refused');
  const wrong: readonly [string, RegExp][] = [
    ['peer.replicas=-1', /peer[./]replicas/],
    ['index.replica=2', /replica'? ?(is )?not allowed|additional propert.*replica/i],
    ['peer.persistence.size=big', /persistence[./]size/],
    ['logLevel=loud', /logLevel/],
    ['mongodb.enabled=perhaps', /mongodb[./]enabled/],
  ];
  for (const [value, message] of wrong) {
    story(value, [], async () => {
      const args = ['install', release.name, 'charts/shoal', '--dry-run=client', '--set', value];
      const { code, stderr } = await release.tryHelm(...args);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(message);
    });
  }
});

story('a MongoDB that is not there: the index waits, says so, and describe shows why', NAMESPACES, async () => {
  const release = new Release(NAMESPACE, 'shoal-no-mongodb');
  const uri = 'mongodb://shoal:secret@nowhere.invalid:27017/shoal';
  await install(release, { 'mongodb.enabled': false, 'mongodb.external.uri': uri, 'peer.replicas': 1 });
  const index = await logOf(release, 'index', /MongoDB does not answer/);
  expect(index).toContain('nowhere.invalid');
  expect(index).not.toContain('secret');
  await described(release, 'index', /Readiness probe failed: HTTP probe failed with statuscode: 503/);
  const peer = await logOf(release, 'peer', /the index/);
  expect(peer).toContain(`${release.name}-index`);
  await release.helm('uninstall', release.name, '--wait');
});

story('a Secret that is not there: the pods wait for it by name', NAMESPACES, async () => {
  const release = new Release(NAMESPACE, 'shoal-no-secret');
  await install(release, { ...EMBEDDED, 'join.existingSecret': 'forgotten' });
  await described(release, 'peer', /secret "forgotten" not found/);
  await described(release, 'index', /secret "forgotten" not found/);
  await release.helm('uninstall', release.name, '--wait');
});

story('a full volume: a put is refused with the reason, the peer stays, and starts again', NAMESPACES, async () => {
  const release = new Release(NAMESPACE, 'shoal-full');
  const volume = await SmallVolume.make('e2e-small', { mib: 200 });
  try {
    await release.install({
      ...EMBEDDED,
      'peer.persistence.storageClass': volume.storageClass,
      'peer.persistence.size': '200Mi',
      'peer.reserve': '8Mi',
    });
    await release.waitForPeers(1);
    const pod = release.peerPod(0);
    await expect(release.script(pod, 'head -c 300M /dev/urandom | shoal put - --as large.bin')).rejects.toThrow(
      /exit code 9[\s\S]*left on the disk[\s\S]*hint: remove files/,
    );
    const { sha256 } = await release.putRandom(0, 'small.bin', { mib: 20, replicas: 1 });

    // Whatever else lies on the volume may fill it to the last byte.
    await release.script(pod, 'cat /dev/zero > /data/filler 2>/dev/null || true');
    const uid = await release.uidOf(pod);
    await release.kubectl(['delete', 'pod', pod]);
    await release.podAgain(pod, uid);
    expect(await release.digestAfterGet(0, 'small.bin')).toBe(sha256);
    // It ends with exit code 1 when something is wrong.
    const report = await release.script(pod, 'shoal doctor --output json || true');
    const { checks } = JSON.parse(report) as { checks: { name: string; result: string; detail: string }[] };
    expect(checks.filter(({ result }) => result !== 'ok')).toEqual([
      expect.objectContaining({ name: 'space', result: 'failed', detail: expect.stringContaining(' 0 free') }),
    ]);
    await release.helm('uninstall', release.name, '--wait');
  } finally {
    await volume.remove(NAMESPACE);
  }
});

noContainerRestarted(NAMESPACES);

/** Installs without waiting: it will not become ready. */
async function install(release: Release, values: Parameters<typeof flags>[0]): Promise<void> {
  await release.helm('install', release.name, 'charts/shoal', ...flags(values));
}

/** Waits until the log of a part says something, and resolves to the line. */
function logOf(release: Release, component: 'index' | 'peer', wanted: RegExp): Promise<string> {
  return eventually(`the ${component} logs ${wanted}`, 60_000, async () => {
    const selector = `app.kubernetes.io/instance=${release.name},app.kubernetes.io/component=${component}`;
    const log = await release.kubectl(['logs', '--selector', selector, '--tail=-1']);
    return log.split('\n').find((line) => wanted.test(line));
  });
}

/** Waits until `kubectl describe` of a part's pods explains its state. */
async function described(release: Release, component: 'index' | 'peer', wanted: RegExp): Promise<void> {
  await eventually(`describe shows ${wanted}`, 90_000, async () => {
    const selector = `app.kubernetes.io/instance=${release.name},app.kubernetes.io/component=${component}`;
    return wanted.test(await release.kubectl(['describe', 'pods', '--selector', selector]));
  });
}
