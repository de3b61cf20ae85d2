import fs from 'node:fs';
import { Deferred } from '../../common/deferred.js';
import { createLogger } from '../../common/log.js';
import type { StoredFile } from '../chunk-store.js';
import { contentIn, contentOf, patiently, StoreFixture, sha256Of } from '../testing/stores.js';
import { waitFor } from '../testing/wait-for.js';
import { Folders } from './folders.js';
import { encodeEntry, encodeHeader, HEADER_BYTES, readEntries, readHeader } from './redo-entry.js';
import { RedoLog } from './redo-log.js';
import { Space } from './space.js';
import { StorePaths } from './store-paths.js';
import { Syncer } from './syncer.js';

let fixture: StoreFixture;
beforeEach(() => {
  fixture = new StoreFixture();
});
afterEach(() => fixture.dispose());

const contents = Array.from({ length: 30 }, (_, i) => contentOf(i * 700, i));

/** Puts small files at once, each with its record. */
async function putAll(): Promise<readonly StoredFile[]> {
  const store = await fixture.open();
  return Promise.all(
    contents.map(async (bytes) => {
      const { file, sha256 } = await store.ingest({ bytes }, patiently());
      await file.setRecords([`record of ${sha256}`], { sha256 });
      return file;
    }),
  );
}

const logs = () => fs.readdirSync(`${fixture.dir}/redo`).map((name) => `${fixture.dir}/redo/${name}`);

/** Makes the logs some that were written before the machine started. */
function pretendCrash(): void {
  for (const path of logs()) {
    const bytes = fs.readFileSync(path);
    encodeHeader('another-boot').copy(bytes);
    fs.writeFileSync(path, bytes);
  }
}

/** Whether all contents are there, with their records, once the store is open. */
async function expectAll(except: readonly string[] = []): Promise<void> {
  const store = await fixture.open();
  const kept = contents.filter((bytes) => !except.includes(sha256Of(bytes)));
  expect(store.list()).toHaveLength(kept.length);
  for (const file of store.list()) {
    const bytes = await contentIn(file);
    expect(kept.map(sha256Of)).toContain(sha256Of(bytes));
    expect(file.records).toEqual([`record of ${sha256Of(bytes)}`]);
  }
}

describe('small files, when the machine goes down', () => {
  it('are there again, whatever the disk had of them', async () => {
    const files = await putAll();
    await fixture.close();
    pretendCrash();
    for (const [at, { id }] of files.entries()) {
      const data = fixture.pathOf(id, '.data');
      const info = fixture.pathOf(id, '.info');
      if (at % 5 === 0) fs.rmSync(data);
      if (at % 5 === 1) fs.rmSync(info);
      if (at % 5 === 2) fs.writeFileSync(data, Buffer.alloc(contents[at]?.length ?? 0));
      if (at % 5 === 3) fs.writeFileSync(info, '');
      if (at % 5 === 4) for (const path of [data, info]) fs.rmSync(path);
    }
    await expectAll();
    expect(logs()).toEqual([]);
    expect(fixture.logged).toEqual([]);
  });

  it('stay removed that were', async () => {
    const files = await putAll();
    const store = await fixture.open();
    const gone = files.slice(0, 10).map(({ id }) => id);
    for (const id of gone) await store.remove(id);
    await fixture.close();
    pretendCrash();
    await expectAll(contents.slice(0, 10).map(sha256Of));
  });

  it('have the newest of their records', async () => {
    const [first] = await putAll();
    const store = await fixture.open();
    const file = store.get(first?.id ?? '');
    await file?.setRecords(['a newer record'], { sha256: file.sha256 ?? '' });
    await fixture.close();
    pretendCrash();
    fs.rmSync(fixture.pathOf(first?.id ?? '', '.info'));
    expect((await fixture.open()).get(first?.id ?? '')?.records).toEqual(['a newer record']);
  });

  it('come back as far as the log was written', async () => {
    const files = await putAll();
    await fixture.close();
    pretendCrash();
    for (const { id } of files) fs.rmSync(fixture.pathOf(id, '.info'));
    const [path = ''] = logs();
    const whole = fs.readFileSync(path);
    // In the middle of a record: what came before is there, nothing fails.
    fs.writeFileSync(path, whole.subarray(0, whole.length - 100));
    const store = await fixture.open();
    expect(store.list().length).toBeGreaterThanOrEqual(contents.length - 1);
    expect(fixture.logged).toEqual([]);
  });

  it('are synced one by one when the store opens next, and the log goes', async () => {
    await putAll();
    expect(logs()).toHaveLength(1);
    await expectAll();
    await waitFor('the log is settled', () => logs().length === 0);
    await expectAll();
  });
});

describe('the log', () => {
  const ids = Array.from({ length: 40 }, (_, i) => i.toString(16).padStart(64, '0'));
  const info = Buffer.alloc(100, 'i');
  let closing: AbortController;
  let diskBytes: number;
  /** Of files, which are not there. */
  let takenBytes: number;

  beforeEach(() => {
    closing = new AbortController();
    diskBytes = 1_000_000;
    takenBytes = 0;
  });

  async function opened({ logBytes = 2_000 } = {}): Promise<{ redo: RedoLog; space: Space }> {
    const paths = new StorePaths(fixture.dir);
    const syncer = new Syncer();
    const folders = new Folders({ paths, syncer });
    await folders.prepare();
    for (const id of ids) await folders.provide(id);
    const log = createLogger(
      { name: 'test', level: 'warn' },
      { write: (line) => fixture.logged.push(JSON.parse(line)) },
    );
    const space: Space = new Space(
      {
        log,
        diskFreeBytes: () => diskBytes - takenBytes - bytesOfLogs(),
        reclaim: () => redo.clear(),
        freed: () => redo.tryAgain(),
      },
      { quotaBytes: 0, reserveBytes: 0 },
    );
    const deps = { hasher: fixture.disk, syncer, paths, space, log, boot: 'b', closing: closing.signal };
    const redo: RedoLog = new RedoLog(deps, { logBytes });
    await redo.open();
    return { redo, space };
  }

  const write = (id: string) => async () => fs.writeFileSync(fixture.pathOf(id, '.info'), info);
  const bytesOfLogs = () => logs().reduce((sum, path) => sum + fs.statSync(path).size, 0);
  const synced = () => fixture.disk.attempts.flat();

  it('is begun anew when it is full, and lets go of the files in it once they are synced', async () => {
    const { redo, space } = await opened();
    for (const id of ids) {
      await Promise.all([
        redo.add({ id, info }, write(id)),
        redo.add({ id, info, data: Buffer.alloc(100) }, write(id)),
      ]);
      expect(redo.covers(id)).toBe(true);
    }
    // Each the moment that the one before is durable.
    for (const id of ids) await redo.add({ id, info: Buffer.from('again') }, write(id));
    await waitFor('the full logs are gone', () => logs().length === 1);
    await waitFor('nothing goes through the log any more', () => !redo.covers(ids[0] ?? ''));
    expect(redo.covers(ids.at(-1) ?? '')).toBe(true);
    await redo.clear();
    expect(logs()).toEqual([]);
    expect(space.lendableBytes).toBe(1_000_000);
    await redo.close();
  });

  it('is not settled before the files in it are written', async () => {
    const { redo } = await opened();
    const [id = ''] = ids;
    const written = new Deferred<void>();
    const added = redo.add({ id, info }, () => written.promise);
    await waitFor('the log has it', () => bytesOfLogs() > HEADER_BYTES);
    const cleared = redo.clear();
    // A round trip to the thread that syncs, after which a sync that was not held back would have been seen.
    await fixture.disk.sync({ paths: [] }, closing.signal);
    expect(synced()).toEqual([]);
    written.resolve();
    await Promise.all([added, cleared]);
    expect(synced()).toContain(fixture.pathOf(id, '.data'));
    await redo.close();
  });

  it('gives its room to a file that needs it; what comes when there is none is synced by itself', async () => {
    diskBytes = 1_500;
    const { redo, space } = await opened();
    const [first = '', second = '', third = ''] = ids;
    await redo.add({ id: first, info }, write(first));
    expect(logs()).toHaveLength(1);
    const reservation = await space.reserve(1_400, 'a file');
    expect(logs()).toEqual([]);
    expect(synced()).toContain(fixture.pathOf(first, '.info'));
    takenBytes = 1_400;
    reservation.landAll();
    await redo.add({ id: second, info }, write(second));
    expect(fs.readFileSync(fixture.pathOf(second, '.info'))).toEqual(info);
    expect(synced()).toContain(fixture.pathOf(second, '.info'));
    expect([logs(), redo.covers(second)]).toEqual([[], false]);
    diskBytes = 3_000;
    await redo.add({ id: third, info }, write(third));
    expect(redo.covers(third)).toBe(true);
    await redo.close();
  });

  it('that cannot be settled does not fill the disk, and is written again by the next start', async () => {
    const { redo, space } = await opened();
    fixture.disk.isBad = () => true;
    const outcomes = [];
    for (const id of ids) outcomes.push(await redo.add({ id, info, data: info }, write(id)).catch((error) => error));
    const refused = outcomes.filter((outcome) => outcome !== undefined);
    expect(refused.length).toBeGreaterThan(10);
    for (const error of refused) {
      expect(error).toMatchObject({
        code: 'unavailable',
        message: 'the disk does not take small files: EIO: i/o error, fsync',
        hint: expect.stringContaining('look at the disk'),
      });
    }
    expect(redo.unsettledCount).toBe(logs().length);
    expect(bytesOfLogs()).toBeLessThan(3 * 2_500);
    expect(space.freeBytes).toBe(1_000_000 - bytesOfLogs());
    expect(space.lendableBytes).toBe(space.freeBytes);
    closing.abort();
    await redo.close();
    expect(fixture.logged.map(({ msg }) => msg)).toEqual(['could not settle a log of the store; it is tried again']);

    // Another sync would say that all is well: that there are files where there were none shows that they were written.
    fixture.disk.isBad = () => false;
    closing = new AbortController();
    const [old = ''] = ids;
    expect(fs.existsSync(fixture.pathOf(old, '.data'))).toBe(false);
    const next = await opened();
    expect(logs()).toEqual([]);
    expect(fs.readFileSync(fixture.pathOf(old, '.data'))).toEqual(info);
    await next.redo.close();
  });

  it('that cannot be settled keeps changes of its files out, and nothing else', async () => {
    const { redo } = await opened();
    const [bad = '', other = ''] = ids;
    fixture.disk.isBad = (path) => path.includes(bad);
    await redo.add({ id: bad, info }, write(bad));
    await redo.clear();
    expect([redo.unsettledCount, redo.covers(bad)]).toEqual([1, true]);
    await expect(redo.add({ id: bad, info }, write(bad))).rejects.toMatchObject({ code: 'unavailable' });
    await redo.add({ id: other, info }, write(other));
    expect(fs.readFileSync(fixture.pathOf(other, '.info'))).toEqual(info);
    expect([synced().includes(fixture.pathOf(other, '.info')), redo.covers(other)]).toEqual([true, false]);
    // It was not given up: when the disk takes it the change goes through.
    fixture.disk.isBad = () => false;
    const newer = Buffer.from('newer');
    await redo.add({ id: bad, info: newer }, async () => fs.writeFileSync(fixture.pathOf(bad, '.info'), newer));
    expect([redo.unsettledCount, redo.covers(bad)]).toEqual([0, true]);
    await redo.clear();
    expect(logs()).toEqual([]);
    expect(fs.readFileSync(fixture.pathOf(bad, '.info'))).toEqual(newer);
    await redo.close();
  });

  it('that could not be settled is tried again only when something happens, and goes on where it was', async () => {
    const { redo } = await opened({ logBytes: 100_000 });
    const [other = '', ...old] = ids;
    const bad = old[30] ?? '';
    for (const id of old) await redo.add({ id, info, data: info }, write(id));
    fixture.disk.isBad = (path) => path.includes(bad);
    await redo.clear();
    expect(fixture.disk.attempts).toHaveLength(1);
    await redo.add({ id: other, info }, write(other));
    // Settles nothing, but waits for the attempt.
    await redo.clear();
    const [, ...later] = fixture.disk.attempts;
    const isOfOther = (paths: readonly string[]) => paths.some((path) => path.includes(other));
    const retries = later.filter((paths) => !isOfOther(paths));
    // One piece that went well, and one in which the bad one is.
    expect(retries.map((paths) => paths.some((path) => path.includes(bad)))).toEqual([false, true]);
    redo.tryAgain();
    redo.tryAgain();
    await redo.clear();
    const again = fixture.disk.attempts.slice(1 + later.length);
    expect(again).toEqual([retries[1]]);
    fixture.disk.isBad = () => false;
    redo.tryAgain();
    await redo.clear();
    expect(fixture.disk.attempts.flat().filter((path) => path === fixture.pathOf(old[0] ?? '', '.info'))).toHaveLength(
      2,
    );
    expect([redo.unsettledCount, logs()]).toEqual([0, []]);
    expect(fixture.logged.map(({ msg }) => msg)).toEqual([
      'could not settle a log of the store; it is tried again',
      'settled the logs of the store that could not be settled before',
    ]);
    await redo.close();
  });

  it('that is damaged is not taken for settled', async () => {
    const { redo } = await opened();
    const [id = ''] = ids;
    await redo.add({ id, info }, write(id));
    await redo.add({ id, info }, write(id));
    fixture.disk.isBad = () => true;
    await redo.clear();
    const [path = ''] = logs();
    fs.truncateSync(path, fs.statSync(path).size - 1);
    fixture.disk.isBad = () => false;
    await expect(redo.add({ id, info }, write(id))).rejects.toMatchObject({
      message: expect.stringContaining('the log of the store is damaged'),
    });
    expect(logs()).toEqual([path]);
    await redo.close();
  });
});

describe('the form of the log', () => {
  const ids = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
  const entries = [
    { id: ids[0] ?? '', info: Buffer.from('info'), data: Buffer.from('data') },
    { id: ids[1] ?? '', info: Buffer.from('only info') },
    { id: ids[2] ?? '' },
    { id: ids[0] ?? '', info: Buffer.from('i'), data: Buffer.alloc(0) },
  ];

  function written(bytes: Buffer): number {
    fs.mkdirSync(fixture.dir, { recursive: true });
    fs.writeFileSync(`${fixture.dir}/log`, bytes);
    return fs.openSync(`${fixture.dir}/log`, 'r');
  }

  it('gives back what was written, up to where it is damaged', () => {
    const pieces = entries.map((entry) => Buffer.concat(encodeEntry(entry)));
    const whole = Buffer.concat([encodeHeader('this-boot'), ...pieces]);
    const ends = pieces.map(
      (_, i) => HEADER_BYTES + pieces.slice(0, i + 1).reduce((sum, { length }) => sum + length, 0),
    );
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x55;
      for (const bytes of [whole.subarray(0, at), damaged]) {
        const fd = written(bytes);
        expect([...readEntries(fd)].length).toBe(
          at < HEADER_BYTES && bytes === damaged ? 4 : ends.filter((end) => end <= at).length,
        );
        fs.closeSync(fd);
      }
    }
    const fd = written(whole);
    expect(readHeader(fd)).toBe('this-boot');
    expect([...readEntries(fd)]).toEqual(entries.map((entry, i) => ({ ...entry, end: ends[i] })));
    fs.closeSync(fd);
  });

  it('names no boot when there is no whole header', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(HEADER_BYTES), encodeHeader('b').subarray(0, 20)]) {
      const fd = written(bytes);
      expect(readHeader(fd)).toBeUndefined();
      fs.closeSync(fd);
    }
  });
});
