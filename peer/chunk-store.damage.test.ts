import fs from 'node:fs';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { chunkOf, contentIn, contentOf, patiently, StoreFixture } from './testing/stores.js';

/* Bytes that the disk gives back other than they were written: nobody may get them as good ones. */

const CHUNK = 64 * 1024;
const content = contentOf(4 * CHUNK + 5, 1);
const signal = new AbortController().signal;

let fixture: StoreFixture;
let store: ChunkStore;
beforeEach(async () => {
  fixture = new StoreFixture();
  store = await fixture.open();
});
afterEach(() => fixture.dispose());

function code(expected: string): Error {
  return expect.objectContaining({ code: expected });
}

/** A whole file, of which chunk 2 was changed on disk without anybody noticing. */
async function changed(): Promise<StoredFile> {
  const { file } = await store.ingest({ path: fixture.source('source', content) }, patiently());
  flip(file, 2 * CHUNK + 7);
  return file;
}

function flip(file: StoredFile, at: number): void {
  const fd = fs.openSync(fixture.pathOf(file.id, '.data'), 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, at);
  fs.writeSync(fd, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  fs.closeSync(fd);
}

describe('a chunk that was changed on disk', () => {
  it('is not given out by a verified read, which forgets it', async () => {
    const file = await changed();
    await expect(file.readVerified(2)).rejects.toThrow(code('corrupt'));
    expect([...file.have]).toEqual([0, 1, 3, 4]);
    expect((await file.readVerified(3)).equals(chunkOf(content, 3))).toBe(true);
  });

  it('is not given out when the file is read in order', async () => {
    const file = await changed();
    await expect(contentIn(file)).rejects.toThrow(code('corrupt'));
    expect(file.isComplete).toBe(false);
  });

  it('is not copied: the target stays empty', async () => {
    const file = await changed();
    const path = fixture.source('target', Buffer.alloc(0));
    const fd = fs.openSync(path, 'r+');
    await expect(file.copyTo(fd, path)).rejects.toThrow(code('corrupt'));
    expect([...file.have]).toEqual([0, 1, 3, 4]);
    await file.writeChunk(2, chunkOf(content, 2));
    expect(fs.statSync(path).size).toBe(0);
    await file.copyTo(fd, path);
    fs.closeSync(fd);
    expect(fs.readFileSync(path).equals(content)).toBe(true);
  });

  it('is made good when the same content is ingested again', async () => {
    const file = await changed();
    const again = await store.ingest({ path: fixture.source('again', content) }, patiently());
    expect(again).toMatchObject({ file, isNew: false });
    expect((await contentIn(file)).equals(content)).toBe(true);
    expect(await file.verify(signal, () => {})).toEqual({ chunks: 5, damaged: [] });
    store = await fixture.open();
    expect((await contentIn(store.get(file.id) as StoredFile)).equals(content)).toBe(true);
  });
});

describe('what was found damaged', () => {
  it('is remembered until the file is whole again, also by the next start', async () => {
    const { id } = await changed();
    const before = store.get(id) as StoredFile;
    expect(before.isDamaged).toBe(false);
    await before.verify(signal, () => {});
    expect(before.isDamaged).toBe(true);
    store = await fixture.open();
    const after = store.get(id) as StoredFile;
    expect(after.isDamaged).toBe(true);
    await after.writeChunk(2, chunkOf(content, 2));
    await after.whenDurable();
    expect(after.isDamaged).toBe(false);
    store = await fixture.open();
    expect(store.get(id)).toMatchObject({ isDamaged: false, isComplete: true });
  });

  it('is remembered of a file that was not whole before', async () => {
    const { file } = await store.ingest({ path: fixture.source('source', content) }, patiently());
    const { manifest } = file;
    await store.remove(file.id);
    const part = await store.begin(manifest);
    for (const index of [0, 2]) await part.writeChunk(index, chunkOf(content, index));
    flip(part, 2 * CHUNK);
    await part.verify(signal, () => {});
    store = await fixture.open();
    expect(store.get(file.id)).toMatchObject({ isDamaged: true });
  });
});
