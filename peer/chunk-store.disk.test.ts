import fs from 'node:fs';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { PeerMetrics } from './metrics.js';
import { decodeInfo } from './store/info-file.js';
import { metricIn } from './testing/metric-of.js';
import { contentIn, contentOf, patiently, StoreFixture, sha256Of } from './testing/stores.js';
import { waitFor } from './testing/wait-for.js';

/* A disk that does not take for a while what small files have left in the log of the store. */

let fixture: StoreFixture;
beforeEach(() => {
  fixture = new StoreFixture();
});
afterEach(() => fixture.dispose());

const contents = Array.from({ length: 50 }, (_, i) => contentOf(1 + i * 700, i));
const recordOf = (bytes: Buffer) => `record of ${sha256Of(bytes)}`;

async function put(store: ChunkStore, bytes: Buffer): Promise<StoredFile> {
  const { file, sha256 } = await store.ingest({ bytes }, patiently());
  await file.setRecords([recordOf(bytes)], { sha256 });
  return file;
}

/** A store with small files in a log that could not be settled. */
async function failingStore(): Promise<{ store: ChunkStore; files: readonly StoredFile[] }> {
  const before = await fixture.open();
  await Promise.all(contents.map((bytes) => put(before, bytes)));
  fixture.disk.isBad = (path) => path.endsWith('.data');
  const store = await fixture.open();
  await waitFor('the log cannot be settled', () => store.usage().unsettledLogs === 1);
  const byContent = new Map(await Promise.all(store.list().map(async (file) => [await sha256In(file), file] as const)));
  return { store, files: contents.map((bytes) => byContent.get(sha256Of(bytes)) as StoredFile) };
}

const sha256In = async (file: StoredFile) => sha256Of(await contentIn(file));

/** What the kernel forgets after it has told once that it could not write: what is on the disk is something else. */
function forget(files: readonly StoredFile[]): void {
  for (const [at, { id, size }] of files.entries()) {
    if (at % 3 !== 1) fs.writeFileSync(fixture.pathOf(id, '.data'), Buffer.alloc(at % 2 === 0 ? size : 0));
    if (at % 3 !== 2) fs.writeFileSync(fixture.pathOf(id, '.info'), Buffer.alloc(10));
  }
}

describe('a log that could not be settled is, without a restart, when', () => {
  const reasons: Record<string, (store: ChunkStore, files: readonly StoredFile[]) => Promise<unknown>> = {
    'a file in it changes': async (_store, [file]) =>
      file?.setRecords([recordOf(contents[0] as Buffer)], { sha256: sha256Of(contents[0] as Buffer) }),
    'another small file comes': async (store) => put(store, contentOf(1000, 1000)),
    'a file gives its room back': async (store) => {
      const { file } = await store.ingest({ bytes: contentOf(400_000, 1001) }, patiently());
      await store.remove(file.id);
    },
  };

  test.each(Object.keys(reasons))('%s', async (reason) => {
    const { store, files } = await failingStore();
    forget(files);
    fixture.disk.isBad = () => false;
    await reasons[reason]?.(store, files);
    await waitFor('the log is settled', () => store.usage().unsettledLogs === 0);
    for (const [at, file] of files.entries()) {
      // As the disk has it: what is noted may be in memory too.
      const info = decodeInfo(fs.readFileSync(fixture.pathOf(file.id, '.info')), file.id);
      expect(info.records).toEqual([recordOf(contents[at] as Buffer)]);
      expect(await contentIn(file)).toEqual(contents[at]);
      await file.setRecords([`newer than ${recordOf(contents[at] as Buffer)}`], { sha256: file.sha256 ?? '' });
    }
    expect(fixture.logged.map(({ msg }) => msg)).toEqual([
      'could not settle a log of the store; it is tried again',
      'settled the logs of the store that could not be settled before',
    ]);
    await fixture.close();
    const next = await fixture.open();
    for (const [at, { id }] of files.entries()) {
      expect(next.get(id)?.records).toEqual([`newer than ${recordOf(contents[at] as Buffer)}`]);
      expect(await contentIn(next.get(id) as StoredFile)).toEqual(contents[at]);
    }
  });
});

test('while the disk fails a change of a file in the log is refused, others are not, and a removal stays one', async () => {
  const { store, files } = await failingStore();
  const [first, second] = files as [StoredFile, StoredFile];
  await expect(first.setRecords(['lost'], { sha256: first.sha256 ?? '' })).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the disk does not take small files: EIO: i/o error, fsync',
  });
  expect(first.records).toEqual([recordOf(contents[0] as Buffer)]);
  await expect(store.ingest({ bytes: contentOf(1000, 1000) }, patiently())).rejects.toMatchObject({
    code: 'unavailable',
  });
  const { file: large } = await store.ingest({ bytes: contentOf(400_000, 1001) }, patiently());
  await store.remove(second.id);
  fixture.disk.isBad = () => false;
  await store.remove(large.id);
  await waitFor('the log is settled', () => store.usage().unsettledLogs === 0);
  expect(fs.existsSync(fixture.pathOf(second.id, '.info'))).toBe(false);
  expect(fs.existsSync(fixture.pathOf(second.id, '.data'))).toBe(false);
  const usedBytes = store.usage().usedBytes;
  const next = await fixture.open();
  expect(next.list()).toHaveLength(contents.length - 1);
  expect(next.usage().usedBytes).toBe(usedBytes);
});

test('logs that cannot be settled are counted', async () => {
  const { store } = await failingStore();
  const metrics = new PeerMetrics();
  const others = { isIndexReachable: () => true, isDraining: () => false, livePeers: () => 0, activeFetches: () => 0 };
  const rest = { filesToHandOver: () => 0, certificateExpiresAtMs: () => undefined };
  metrics.watch({ usage: () => store.usage(), ...others, ...rest });
  const counted = async () => metricIn(await metrics.registry.metrics(), 'shoal_peer_store_unsettled_logs');
  expect(await counted()).toBe(1);
  fixture.disk.isBad = () => false;
  await put(store, contentOf(1000, 1000));
  await waitFor('the log is settled', async () => (await counted()) === 0);
  metrics.close();
});

test('a store closes while its disk fails, and the next one has all', async () => {
  const { files } = await failingStore();
  await fixture.close();
  forget(files);
  fixture.disk.isBad = () => false;
  const next = await fixture.open();
  expect(next.usage().unsettledLogs).toBe(0);
  for (const [at, { id }] of files.entries()) {
    expect(await contentIn(next.get(id) as StoredFile)).toEqual(contents[at]);
    expect(next.get(id)?.records).toEqual([recordOf(contents[at] as Buffer)]);
  }
});
