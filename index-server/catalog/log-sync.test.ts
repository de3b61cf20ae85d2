import { LogSync } from './log-sync.js';

/** A file whose syncs end when the test says so. */
class SlowFile {
  readonly syncs: { end(): void; fail(error: Error): void }[] = [];
  isClosed = false;

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => this.syncs.push({ end: resolve, fail: reject }));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** Lets everything happen that waits for nothing. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

async function openSync() {
  const file = new SlowFile();
  const sync = new LogSync('index.db-wal', async () => file);
  await sync.open();
  return { file, sync };
}

test('calls that come together share a sync', async () => {
  const { file, sync } = await openSync();
  const calls = [sync.sync(), sync.sync(), sync.sync()];
  await settle();
  expect(file.syncs).toHaveLength(1);
  file.syncs[0]?.end();
  await Promise.all(calls);
});

test('a call that comes while a sync runs waits for the next one', async () => {
  const { file, sync } = await openSync();
  const first = sync.sync();
  await settle();
  const done: string[] = [];
  const later = [sync.sync().then(() => done.push('b')), sync.sync().then(() => done.push('c'))];
  await settle();
  expect(file.syncs).toHaveLength(1);
  file.syncs[0]?.end();
  await first;
  await settle();
  expect(done).toEqual([]);
  expect(file.syncs).toHaveLength(2);
  file.syncs[1]?.end();
  await Promise.all(later);
});

test('a sync that fails is told to those who waited for it, and to nobody else', async () => {
  const { file, sync } = await openSync();
  const failing = sync.sync();
  await settle();
  const next = sync.sync();
  const cause = new Error('input/output error');
  file.syncs[0]?.fail(cause);
  await expect(failing).rejects.toMatchObject({ code: 'unavailable', cause });
  await settle();
  file.syncs[1]?.end();
  await next;
});

test('finishes what was asked for before it closes', async () => {
  const { file, sync } = await openSync();
  const asked = sync.sync();
  await settle();
  const closing = sync.close();
  await settle();
  expect(file.isClosed).toBe(false);
  file.syncs[0]?.end();
  await asked;
  await closing;
  expect(file.isClosed).toBe(true);
  await expect(sync.sync()).rejects.toMatchObject({ code: 'unavailable' });
});
