import fs from 'node:fs';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { footprintOf } from './store/footprint.js';
import { decodeInfo, encodeInfo } from './store/info-file.js';
import { chunkOf, contentIn, contentOf, manifestOf, patiently, StoreFixture, sha256Of } from './testing/stores.js';

const CHUNK = 64 * 1024;

let fixture: StoreFixture;
let store: ChunkStore;

beforeEach(async () => {
  fixture = new StoreFixture();
  store = await fixture.open();
});

afterEach(() => fixture.dispose());

const content = contentOf(4 * CHUNK + 5, 1);
const signal = new AbortController().signal;

function code(expected: string): Error {
  return expect.objectContaining({ code: expected });
}

async function whole(): Promise<StoredFile> {
  const { file } = await store.ingest({ path: fixture.source('source', content) }, patiently());
  await file.setRecords(['a record'], { sha256: sha256Of(content) });
  return file;
}

async function partial(...chunks: number[]): Promise<StoredFile> {
  const file = await store.begin(manifestOf(content));
  for (const index of chunks) await file.writeChunk(index, chunkOf(content, index));
  return file;
}

function flipByte(path: string, at: number): void {
  const bytes = fs.readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  fs.writeFileSync(path, bytes);
}

/** Makes the journal of a file one that was written before the machine started. */
function pretendReboot(id: string): void {
  const path = fixture.pathOf(id, '.have');
  const bytes = fs.readFileSync(path);
  bytes.write('another-boot', 8, 'latin1');
  fs.writeFileSync(path, bytes);
}

/** Makes what is noted about a file, unsynced, something of before the machine started. */
function pretendOtherBoot(id: string): void {
  const info = decodeInfo(fs.readFileSync(fixture.pathOf(id, '.info')), id);
  expect(info.unsyncedBoot).toBeDefined();
  fs.writeFileSync(fixture.pathOf(id, '.info'), encodeInfo({ ...info, unsyncedBoot: 'another-boot' }));
}

/** The file after the store was opened again. */
async function reopened(id: string): Promise<StoredFile> {
  store = await fixture.open();
  const file = store.get(id);
  if (file === undefined) throw new Error(`file ${id} is gone`);
  return file;
}

async function refill(file: StoredFile): Promise<void> {
  for (const index of [...file.have.missing()]) await file.writeChunk(index, chunkOf(content, index));
  expect((await contentIn(file)).equals(content)).toBe(true);
  await file.whenDurable();
}

describe('after a restart of the process', () => {
  it('the chunks of a partial file are there, and it goes on', async () => {
    const before = await partial(4, 0, 2);
    await before.setRecords(['a record'], { sha256: sha256Of(content) });
    const file = await reopened(before.id);
    expect([...file.have]).toEqual([0, 2, 4]);
    expect(file).toMatchObject({ records: ['a record'], sha256: sha256Of(content), isComplete: false });
    expect(store.usage()).toMatchObject({ usedBytes: footprintOf(content.length), partialFiles: 1 });
    expect(await store.begin(manifestOf(content))).toBe(file);
    await refill(file);
    await fixture.close();
    expect(fixture.everyFile()).toEqual([`${file.id}.data`, `${file.id}.info`]);
  });

  it('what an ingest or a removal left half done is gone', async () => {
    const { id } = await whole();
    await fixture.close();
    fs.writeFileSync(`${fixture.dir}/tmp/spool`, content);
    const orphan = manifestOf(Buffer.of(1)).id;
    for (const suffix of ['.data', '.have'] as const) {
      fs.mkdirSync(fixture.pathOf(orphan, suffix).replace(/[^/]*$/, ''), { recursive: true });
      fs.writeFileSync(fixture.pathOf(orphan, suffix), 'x');
    }
    await reopened(id);
    expect(fixture.everyFile()).toEqual([`${id}.data`, `${id}.info`]);
    expect(fixture.logged).toEqual([]);
  });

  it('files in the folder that are none of the store stay', async () => {
    const { id } = await whole();
    await fixture.close();
    fs.writeFileSync(fixture.pathOf(id, '.data').replace(/[^/]*$/, 'README'), 'x');
    fs.mkdirSync(`${fixture.dir}/files/lost+found`);
    await reopened(id);
    expect(fixture.everyFile()).toEqual([`${id}.data`, `${id}.info`, 'README'].sort());
    expect(fs.existsSync(`${fixture.dir}/files/lost+found`)).toBe(true);
  });

  it('an entry that the end of the process cut off costs only itself', async () => {
    const { id } = await partial(0, 1, 2);
    await fixture.close();
    const journal = fixture.pathOf(id, '.have');
    fs.truncateSync(journal, fs.statSync(journal).size - 3);
    const file = await reopened(id);
    expect([...file.have]).toEqual([0, 1]);
    await file.writeChunk(3, chunkOf(content, 3));
    expect([...(await reopened(id)).have]).toEqual([0, 1, 3]);
    expect(fixture.logged).toEqual([]);
  });
});

describe('after a crash of the machine', () => {
  it('only chunks whose bytes are there are held', async () => {
    const { id } = await partial(0, 1, 3);
    await fixture.close();
    pretendReboot(id);
    flipByte(fixture.pathOf(id, '.data'), 3 * CHUNK + 9);
    store = await fixture.open();
    const file = await store.begin(manifestOf(content));
    expect([...file.have]).toEqual([0, 1]);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, chunks: 1 })]);
    // From now on they are trusted like any others.
    expect([...(await reopened(id)).have]).toEqual([0, 1]);
    await refill(await reopened(id));
  });

  it('a file that was whole, but not known to be durable, is checked and then durable', async () => {
    const before = await partial(0, 1, 2, 3);
    await fixture.close();
    // The last chunk as if it had come right before the crash.
    const data = fs.openSync(fixture.pathOf(before.id, '.data'), 'r+');
    fs.writeSync(data, chunkOf(content, 4), 0, 5, 4 * CHUNK);
    fs.closeSync(data);
    const journal = fixture.pathOf(before.id, '.have');
    const entry = Buffer.alloc(8);
    entry.writeUInt32LE(4, 0);
    entry.writeUInt32LE((Math.imul(4, 2654435761) ^ 0x53484a31) >>> 0, 4);
    fs.appendFileSync(journal, entry);
    pretendReboot(before.id);
    store = await fixture.open();
    const file = await store.begin(manifestOf(content));
    expect(file.isComplete).toBe(true);
    await file.whenDurable();
    expect(fs.existsSync(journal)).toBe(false);
  });

  describe('a small file that nobody waited for the disk with', () => {
    const bytes = content.subarray(0, CHUNK + 9);
    const kept = async () => {
      const options = { signal: new AbortController().signal, onProgress: () => {}, isDurable: false };
      const { file } = await store.ingest({ bytes }, { ...options, records: ['a.record.of-it'] });
      return file.id;
    };

    it('is there after the process was killed', async () => {
      const id = await kept();
      await fixture.close();
      const file = await reopened(id);
      expect(file.isComplete).toBe(true);
      expect(file.records).toEqual(['a.record.of-it']);
      await file.setRecords(['another.record.of-it'], { sha256: file.sha256 ?? '' });
      await fixture.close();
      expect(await reopened(id)).toMatchObject({ isComplete: true, records: ['another.record.of-it'] });
    });

    it('is checked after a crash, and then trusted', async () => {
      const id = await kept();
      await fixture.close();
      pretendOtherBoot(id);
      store = await fixture.open();
      const file = await store.begin(manifestOf(bytes));
      expect(file).toMatchObject({ id, isComplete: true, records: ['a.record.of-it'] });
      await file.whenDurable();
      await fixture.close();
      expect((await reopened(id)).isComplete).toBe(true);
    });

    it('lacks after a crash what did not survive it', async () => {
      const id = await kept();
      await fixture.close();
      pretendOtherBoot(id);
      flipByte(fixture.pathOf(id, '.data'), 5);
      store = await fixture.open();
      expect([...(await store.begin(manifestOf(bytes))).have]).toEqual([1]);
    });

    it('is durable once somebody has waited for that', async () => {
      const id = await kept();
      await store.get(id)?.whenDurable();
      await fixture.close();
      expect(fs.readFileSync(fixture.pathOf(id, '.info'), 'latin1')).not.toContain('unsyncedBoot');
      expect((await reopened(id)).isComplete).toBe(true);
    });
  });

  it('a data file that lost its end costs the chunks in it', async () => {
    const { id } = await partial(0, 1, 3);
    await fixture.close();
    pretendReboot(id);
    fs.truncateSync(fixture.pathOf(id, '.data'), CHUNK + 1);
    store = await fixture.open();
    const file = await store.begin(manifestOf(content));
    expect([...file.have]).toEqual([0]);
    await refill(file);
  });

  it('a journal without a readable head is checked like an old one', async () => {
    const { id } = await partial(0, 2);
    await fixture.close();
    flipByte(fixture.pathOf(id, '.have'), 0);
    flipByte(fixture.pathOf(id, '.data'), 2 * CHUNK);
    store = await fixture.open();
    expect([...(await store.begin(manifestOf(content))).have]).toEqual([0]);
  });
});

describe('damage on the disk', () => {
  it('in a chunk is found by verify, forgotten for good, and mended', async () => {
    const before = await whole();
    const { id } = before;
    flipByte(fixture.pathOf(id, '.data'), CHUNK + 77);
    flipByte(fixture.pathOf(id, '.data'), 4 * CHUNK);
    const events: string[] = [];
    store.onChange(({ kind }) => events.push(kind));
    const progress: number[] = [];
    const result = await before.verify(signal, (done) => progress.push(done));
    expect(result).toEqual({ chunks: 5, damaged: [1, 4] });
    expect(progress.at(-1)).toBe(content.length);
    expect(events).toEqual(['damaged']);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, count: 2 })]);
    await expect(before.readChunk(1)).rejects.toThrow(code('not_found'));

    const file = await reopened(id);
    expect([...file.have]).toEqual([0, 2, 3]);
    expect(file.records).toEqual(['a record']);
    await refill(file);
    expect(await (await reopened(id)).verify(signal, () => {})).toEqual({ chunks: 5, damaged: [] });
  });

  it('in a partial file is found by verify as well', async () => {
    const before = await partial(0, 1, 2);
    flipByte(fixture.pathOf(before.id, '.data'), CHUNK);
    expect(await before.verify(signal, () => {})).toEqual({ chunks: 3, damaged: [1] });
    expect([...(await reopened(before.id)).have]).toEqual([0, 2]);
  });

  it('is not looked for when verify is told to stop', async () => {
    const file = await whole();
    await expect(file.verify(AbortSignal.abort(), () => {})).rejects.toThrow(code('cancelled'));
    expect(file.isComplete).toBe(true);
  });

  it('that cuts the data file short while it is open costs what is read there', async () => {
    const file = await whole();
    fs.truncateSync(fixture.pathOf(file.id, '.data'), 2 * CHUNK + 10);
    await expect(file.readChunk(2)).rejects.toThrow(code('corrupt'));
    expect(() => file.readSync(3, 0, Buffer.alloc(5), 0, 5)).toThrow(code('corrupt'));
    expect((await file.readChunk(1)).equals(chunkOf(content, 1))).toBe(true);
    expect(await file.verify(signal, () => {})).toEqual({ chunks: 3, damaged: [4] });
    await refill(await reopened(file.id));
  });

  it('that cut the data file short before the start costs the chunks in it', async () => {
    const { id } = await whole();
    await fixture.close();
    fs.truncateSync(fixture.pathOf(id, '.data'), 2 * CHUNK);
    const file = await reopened(id);
    expect([...file.have]).toEqual([0, 1]);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, chunks: 3 })]);
    expect([...(await reopened(id)).have]).toEqual([0, 1]);
    await refill(await reopened(id));
  });

  it('that took the data file while it is open costs what is read next, not the daemon', async () => {
    const { id } = await whole();
    const file = await reopened(id);
    fs.unlinkSync(fixture.pathOf(id, '.data'));
    await expect(file.readChunk(2)).rejects.toThrow(code('corrupt'));
    expect(await file.verify(signal, () => {})).toEqual({ chunks: 4, damaged: [0, 1, 3, 4] });
  });

  it.each(['.info', '.data'] as const)('to the %s file of one file loses only that one', async (suffix) => {
    const { id } = await whole();
    const { file: other } = await store.ingest({ path: fixture.source('b', Buffer.of(1)) }, patiently());
    await fixture.close();
    const path = fixture.pathOf(id, suffix);
    if (suffix === '.info') flipByte(path, 50);
    else fs.unlinkSync(path);
    store = await fixture.open();
    expect(store.list().map((file) => file.id)).toEqual([other.id]);
    expect(fixture.everyFile()).toEqual([`${other.id}.data`, `${other.id}.info`]);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, level: 50 })]);
    expect(store.usage().usedBytes).toBe(footprintOf(1));
    await whole();
  });

  it.each([0, 1, 40, 1_000_000])('to the info file is noticed whatever it is: cut to %d bytes', async (length) => {
    const { id } = await whole();
    await fixture.close();
    const path = fixture.pathOf(id, '.info');
    fs.truncateSync(path, length);
    store = await fixture.open();
    expect(store.list()).toEqual([]);
  });

  it('to the journal loses the chunks that it does not name any more', async () => {
    const { id } = await partial(0, 1, 2);
    await fixture.close();
    flipByte(fixture.pathOf(id, '.have'), 64 + 8);
    const file = await reopened(id);
    expect([...file.have]).toEqual([0, 2]);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, entries: 1 })]);
    await refill(file);
  });

  it('to the info file while it is open is told when the manifest is needed', async () => {
    const { id } = await whole();
    const file = await reopened(id);
    flipByte(fixture.pathOf(id, '.info'), 50);
    expect(() => file.manifest).toThrow(code('corrupt'));
    await expect(contentIn(file)).rejects.toThrow(code('corrupt'));
    expect((await file.readChunk(1)).equals(chunkOf(content, 1))).toBe(true);
  });

  it('that cannot be read leaves the file alone, for a better day', async () => {
    const { id } = await whole();
    await fixture.close();
    const path = fixture.pathOf(id, '.data');
    fs.renameSync(path, `${path}.away`);
    fs.mkdirSync(path);
    store = await fixture.open();
    expect(store.list()).toEqual([]);
    expect(fixture.logged).toEqual([expect.objectContaining({ id, level: 50 })]);
    await fixture.close();
    fs.rmdirSync(path);
    fs.renameSync(`${path}.away`, path);
    expect((await contentIn(await reopened(id))).equals(content)).toBe(true);
  });
});
