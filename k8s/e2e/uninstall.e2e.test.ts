import { listAll } from './testing/inventory.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];

/** docs/kubernetes.md promises exactly this. */
const STAYS = [
  'persistentvolumeclaims/data-shoal-mongodb-0',
  'persistentvolumeclaims/data-shoal-peer-0',
  'persistentvolumeclaims/data-shoal-peer-1',
  'persistentvolumeclaims/data-shoal-peer-2',
  'secrets/shoal-mongodb',
  'secrets/shoal-signing-key',
];

beforeAll(ensureShared);

story('an uninstall leaves the volumes and their keys, and the next install finds the files', NAMESPACES, async () => {
  await shared.scalePeers(3);
  await shared.waitForPeers(3);
  const { sha256 } = await shared.putRandom(0, 'survivor.bin', { mib: 5, replicas: 1 });
  await shared.helm('uninstall', shared.name, '--wait', '--timeout=3m');
  // Volumes of peers that were scaled away in other stories stay as well.
  const left = (await listAll(shared.namespace)).filter((name) => !/data-shoal-peer-[3-9]/.test(name));
  expect(left).toEqual(STAYS);

  await shared.install();
  await shared.waitForPeers(3);
  expect(await shared.digestAfterGet(2, 'survivor.bin')).toBe(sha256);
});

noContainerRestarted(NAMESPACES);
