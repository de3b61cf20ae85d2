import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretsOf } from './testing/cluster.js';
import { Release } from './testing/release.js';
import { run } from './testing/shell.js';
import { noContainerRestarted, story } from './testing/story.js';

const release = new Release('e2e-upgrade');
const NAMESPACES = [release.namespace];
const VALUES = { 'peer.replicas': 2 };

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-chart-'));
});

afterAll(() => rm(folder, { recursive: true }));

story('the chart before this one upgrades to this one; files and secrets stay', NAMESPACES, async () => {
  await release.install(VALUES, await earlierChart(folder));
  await release.waitForPeers(2);
  const { sha256 } = await release.putRandom(0, 'before.bin', { mib: 5, replicas: 1 });
  const secrets = await secretsOf(release.namespace);
  expect(Object.keys(secrets)).toEqual(expect.arrayContaining(['shoal-join', 'shoal-mongodb', 'shoal-signing-key']));

  await release.upgrade(VALUES);
  await release.waitForPeers(2);
  expect(await secretsOf(release.namespace)).toEqual(secrets);
  expect(await release.digestAfterGet(1, 'before.bin')).toBe(sha256);
});

story('a changed value takes effect; files and secrets stay', NAMESPACES, async () => {
  const { sha256 } = await release.putRandom(1, 'between.bin', { mib: 5, replicas: 1 });
  const secrets = await secretsOf(release.namespace);
  await release.upgrade({ ...VALUES, 'peer.quota': '5Gi' });
  await release.waitForPeers(2);
  expect(await release.json(1, 'status')).toMatchObject({ quotaBytes: 5 * 2 ** 30 });
  expect(await secretsOf(release.namespace)).toEqual(secrets);
  expect(await release.digestAfterGet(0, 'between.bin')).toBe(sha256);
});

noContainerRestarted(NAMESPACES);

/** The newest chart in the history that differs from the one in this folder, or the newest when none does. */
async function earlierChart(target: string): Promise<string> {
  const commits = (await run('git', ['rev-list', 'HEAD', '--', 'charts/shoal'])).trim().split('\n');
  let chosen = commits[0] ?? 'HEAD';
  for (const commit of commits) {
    if ((await run('git', ['diff', '--name-only', commit, '--', 'charts/shoal'])) === '') continue;
    chosen = commit;
    break;
  }
  const archive = join(target, 'chart.tar');
  await run('git', ['archive', '--output', archive, chosen, 'charts/shoal']);
  await run('tar', ['--extract', '--file', archive, '--directory', target]);
  console.log(`upgrades from the chart of ${(await run('git', ['log', '-1', '--format=%h %s', chosen])).trim()}`);
  return join(target, 'charts/shoal');
}
