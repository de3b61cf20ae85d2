import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../common/log.js';
import type { Catalog } from './catalog.js';
import { IndexMetrics } from './metrics.js';
import { catalogIn } from './open-catalog.js';
import { PeerDirectory } from './peer-directory.js';
import { PodVerdicts } from './pods/pod-verdicts.js';
import { Repair } from './repair.js';
import { Replicator } from './replicator.js';
import { idOf } from './testing/test-index.js';

const LEASE_MS = 10_000;
const AFTER_MS = 60_000;

describe('the repair', () => {
  let folder: string;
  let catalog: Catalog;
  let metrics: IndexMetrics;
  let replicator: Replicator;
  let repair: Repair;
  let now: number;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-repair-'));
    catalog = await catalogIn(`embedded:${join(folder, 'catalog.db')}`);
    await catalog.open();
    now = 1_000_000;
    metrics = new IndexMetrics();
    const deps = { catalog, metrics, log: createLogger({ name: 'test', level: 'silent' }), now: () => now };
    const directory = new PeerDirectory({ ...deps, pods: new PodVerdicts() }, { maxAgeMs: 0 });
    replicator = new Replicator({ ...deps, directory });
    repair = new Repair({ ...deps, directory, replicator }, { afterMs: AFTER_MS, batch: 2 });
  });
  afterEach(async () => {
    await catalog.close();
    await rm(folder, { recursive: true });
  });

  async function beat(...names: string[]): Promise<void> {
    for (const name of names) {
      await catalog.putPeer({
        ...{ name, address: `${name}:1`, version: '1', incarnation: 'x', state: 'live', leaseUntil: now + LEASE_MS },
        ...{ files: 0, bytesUsed: 0, bytesFree: 1e9 },
      });
    }
  }

  async function publish(name: string, replicas: number, ...holders: string[]): Promise<string> {
    const id = idOf(name);
    const row = {
      id,
      name,
      ownerId: 'u',
      owner: 'u',
      size: 1,
      sha256: '',
      chunkSize: 1,
      chunks: 1,
      tags: {},
      record: 'r',
    };
    await catalog.publish({ ownerId: 'u', name, id, keepVersions: 1 }, async (version) => ({
      ...{ ...row, version, visibility: 'public', readers: [], replicas, publishedAt: now },
    }));
    for (const holder of holders) await catalog.hold(holder, [{ id, complete: true }]);
    return id;
  }

  const copiesFor = async (peer: string) =>
    (await catalog.ordersFor(peer, 100)).filter(({ kind }) => kind === 'replicate').map(({ id }) => id);

  const figure = async (name: string) =>
    (await metrics.registry.getSingleMetric(`shoal_index_${name}`)?.get())?.values[0]?.value;

  /** Lets time pass in steps shorter than a lease, with heartbeats of `names`, and the repair at work. */
  async function pass(ms: number, ...names: string[]): Promise<void> {
    for (const end = now + ms; now < end; ) {
      now += Math.min(LEASE_MS / 2, end - now);
      await beat(...names);
      await repair.run();
    }
  }

  test('makes up for a lost peer once a restart would be over, file by file', async () => {
    await beat('p1', 'p2', 'p3');
    const ids = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => publish(name, 2, 'p1', 'p2')));
    await publish('single', 1, 'p1', 'p2');
    await pass(AFTER_MS, 'p1', 'p3');
    expect(await figure('lease_expirations_total')).toBe(1);
    expect(await copiesFor('p3')).toEqual([]);
    await pass(LEASE_MS + 3 * LEASE_MS, 'p1', 'p3');
    expect(new Set(await copiesFor('p3'))).toEqual(new Set(ids));
    expect(await figure('under_replicated_files')).toBe(5);
    await catalog.hold(
      'p3',
      ids.map((id) => ({ id, complete: true })),
    );
    await pass(3 * LEASE_MS, 'p1', 'p3');
    expect(await figure('under_replicated_files')).toBe(0);
    expect(await figure('lease_expirations_total')).toBe(1);
  });

  test('does nothing about a peer that comes back in time, whether it withdrew or was killed', async () => {
    await beat('p1', 'p2', 'p3');
    await publish('a', 2, 'p1', 'p2');
    await pass(AFTER_MS / 2, 'p1', 'p3');
    await pass(AFTER_MS, 'p1', 'p2', 'p3');
    await catalog.withdrawPeer('p2', 'x');
    await pass(AFTER_MS / 2, 'p1', 'p3');
    await pass(AFTER_MS, 'p1', 'p2', 'p3');
    expect(await copiesFor('p3')).toEqual([]);
  });

  test('does not count a withdrawal as a lease that ran out', async () => {
    await beat('p1');
    await repair.run();
    await catalog.withdrawPeer('p1', 'x');
    await pass(2 * LEASE_MS);
    expect(await figure('lease_expirations_total')).toBe(0);
  });

  test('hands on what a lost peer was asked to copy', async () => {
    await beat('p1', 'p2', 'p3');
    const id = await publish('a', 2, 'p1');
    const [target] = await replicator.ensureCopies(id);
    const other = target?.name === 'p2' ? 'p3' : 'p2';
    await pass(AFTER_MS + 2 * LEASE_MS, 'p1', other);
    expect(await copiesFor(other)).toEqual([id]);
    expect(await copiesFor(target?.name as string)).toEqual([]);
  });

  test('finds files that lack copies though no event told of them', async () => {
    await beat('p1', 'p2');
    const ids = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => publish(name, 2, 'p1')));
    await pass(5 * LEASE_MS, 'p1', 'p2');
    expect(new Set(await copiesFor('p2'))).toEqual(new Set(ids));
  });

  test('leaves alone what nobody holds completely', async () => {
    await beat('p1', 'p2');
    const id = await publish('a', 2);
    await catalog.hold('p1', [{ id, complete: false }]);
    expect(await replicator.ensureCopies(id)).toEqual([]);
    await pass(AFTER_MS, 'p1', 'p2');
    expect([...(await copiesFor('p1')), ...(await copiesFor('p2'))]).toEqual([]);
    expect(await figure('under_replicated_files')).toBe(1);
  });
});
