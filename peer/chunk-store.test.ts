import fs from 'node:fs';
import { join } from 'node:path';
import { ShoalError } from '../common/errors.js';
import type { ChunkStore, StoredFile, StoreEvent } from './chunk-store.js';
import { footprintOf } from './store/footprint.js';
import { chunkOf, contentIn, contentOf, manifestOf, patiently, StoreFixture, sha256Of } from './testing/stores.js';

const KIB = 1024;
const CHUNK = 64 * KIB;

let fixture: StoreFixture;
let store: ChunkStore;

beforeEach(async () => {
  fixture = new StoreFixture();
  store = await fixture.open();
});

afterEach(() => fixture.dispose());

const content = contentOf(3 * CHUNK + 5, 1);
const manifest = manifestOf(content);

/** Jest's own comparison takes seconds for such buffers. */
function expectSame(actual: Buffer, expected: Buffer): void {
  expect(actual.length).toBe(expected.length);
  expect(actual.equals(expected)).toBe(true);
}

async function writeAll(file: StoredFile, bytes: Buffer): Promise<void> {
  for (const index of [...file.have.missing()]) await file.writeChunk(index, chunkOf(bytes, index));
}

function code(expected: string): Error {
  return expect.objectContaining({ code: expected });
}

describe('a file that is fetched chunk by chunk', () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])('of %d bytes comes back as it was', async (size) => {
    const bytes = contentOf(size, size);
    const file = await store.begin(manifestOf(bytes));
    await writeAll(file, bytes);
    expect(file.isComplete).toBe(true);
    expectSame(await contentIn(file), bytes);
    await file.whenDurable();
    const again = (await fixture.open()).get(file.id);
    expect(again?.isComplete).toBe(true);
    if (again) expectSame(await contentIn(again), bytes);
  });

  it('takes chunks in any order, in pieces, and each only once', async () => {
    const file = await store.begin(manifest);
    const chunk = chunkOf(content, 3);
    expect(await file.writeChunk(3, [chunk.subarray(0, 2), Buffer.alloc(0), chunk.subarray(2)])).toBe(true);
    expect(await file.writeChunk(3, chunk)).toBe(false);
    const both = await Promise.all([file.writeChunk(0, chunkOf(content, 0)), file.writeChunk(0, chunkOf(content, 0))]);
    expect(both.sort()).toEqual([false, true]);
    expect([...file.have]).toEqual([0, 3]);
    expectSame(await file.readChunk(3), chunk);
  });

  it('keeps nothing of a chunk with other bytes or of another length', async () => {
    const file = await store.begin(manifest);
    const wrong = Buffer.from(chunkOf(content, 1));
    wrong[7] = (wrong[7] ?? 0) ^ 1;
    for (const bytes of [wrong, chunkOf(content, 0), chunkOf(content, 1).subarray(1), Buffer.alloc(0)]) {
      await expect(file.writeChunk(1, bytes)).rejects.toThrow(code('corrupt'));
    }
    await expect(file.writeChunk(4, chunkOf(content, 1))).rejects.toThrow(code('invalid'));
    expect(file.have.count).toBe(0);
    await expect(file.readChunk(1)).rejects.toThrow(code('not_found'));
  });

  it('tells of a chunk when it can be read, whatever other listeners do', async () => {
    const file = await store.begin(manifest);
    const read: Buffer[] = [];
    file.onVerified(() => {
      throw new Error('a listener that fails');
    });
    const stop = file.onVerified((index) => {
      const target = Buffer.alloc(10);
      file.readSync(index, 0, target, 0, 10);
      read.push(target);
    });
    expect(await file.writeChunk(2, chunkOf(content, 2))).toBe(true);
    stop();
    await file.writeChunk(1, chunkOf(content, 1));
    expect(read).toEqual([chunkOf(content, 2).subarray(0, 10)]);
  });

  it('of zeros takes no room on the disk, unless something else was there', async () => {
    const zeros = Buffer.alloc(40 * CHUNK);
    const file = await store.begin(manifestOf(zeros));
    await writeAll(file, zeros);
    expect(fs.statSync(fixture.pathOf(file.id, '.data')).blocks).toBe(0);
    expectSame(await contentIn(file), zeros);
    await file.whenDurable();

    fs.writeFileSync(fixture.pathOf(file.id, '.data'), contentOf(zeros.length, 3));
    const again = (await fixture.open()).get(file.id);
    await again?.verify(new AbortController().signal, () => {});
    expect(again?.have.count).toBe(0);
    if (again) await writeAll(again, zeros);
    if (again) expectSame(await contentIn(again), zeros);
  });

  it('is the same file for everybody who begins it', async () => {
    const [one, other] = await Promise.all([store.begin(manifest), store.begin(manifest)]);
    expect(one).toBe(other);
    expect(store.usage()).toMatchObject({ usedBytes: footprintOf(content.length), files: 0, partialFiles: 1 });
  });
});

describe('reading', () => {
  it('gives any part of a chunk, in three ways', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    expectSame(await file.readChunk(1), chunkOf(content, 1));
    expectSame(await file.readChunk(1, 100), chunkOf(content, 1).subarray(100));
    expectSame(await file.readChunk(1, 100, 7), chunkOf(content, 1).subarray(100, 107));
    const target = Buffer.alloc(10, 9);
    file.readSync(3, 1, target, 2, 4);
    expect(target).toEqual(Buffer.concat([Buffer.alloc(2, 9), content.subarray(3 * CHUNK + 1), Buffer.alloc(4, 9)]));
    await file.readInto(0, 5, target);
    expect(target).toEqual(content.subarray(5, 15));
  });

  it('refuses parts that are not within a chunk', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    await expect(file.readChunk(3, 0, 6)).rejects.toThrow(code('invalid'));
    await expect(file.readChunk(4)).rejects.toThrow(code('invalid'));
    await expect(file.readChunk(0, -1, 1)).rejects.toThrow(code('invalid'));
    await expect(file.readChunk(0, CHUNK + 1)).rejects.toThrow(code('invalid'));
    expect(() => file.readSync(0, 0, Buffer.alloc(1), 0, Number.NaN)).toThrow(code('invalid'));
    expect(() => file.readSync(0, 0, Buffer.alloc(4), 2, 4)).toThrow(code('invalid'));
  });

  it.each([
    [0, 0],
    [0, 1],
    [CHUNK - 1, 2],
    [5, 3 * CHUNK],
    [3 * CHUNK + 5, 0],
  ])('gives the range from %d of %d bytes', async (offset, length) => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    const pieces: Buffer[] = [];
    for await (const piece of file.read({ offset, length })) pieces.push(piece);
    expectSame(Buffer.concat(pieces), content.subarray(offset, offset + length));
  });

  it.each([
    [-1, 1],
    [0, 3 * CHUNK + 6],
    [0.5, 1],
  ])('refuses the range from %d of %d bytes', async (offset, length) => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    await expect(file.read({ offset, length })[Symbol.asyncIterator]().next()).rejects.toThrow(code('invalid'));
  });
});

describe('copying out', () => {
  it('makes the target the same, whatever it was before, and leaves its mode', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    const path = fixture.source('target', contentOf(9 * CHUNK, 4));
    fs.chmodSync(path, 0o640);
    const fd = fs.openSync(path, 'r+');
    await file.copyTo(fd, path);
    fs.closeSync(fd);
    expectSame(fs.readFileSync(path), content);
    expect(fs.statSync(path).mode & 0o777).toBe(0o640);
  });

  it('leaves holes where they are', async () => {
    const sparse = Buffer.alloc(20 * CHUNK);
    contentOf(CHUNK, 1).copy(sparse, 11 * CHUNK);
    const { file } = await store.ingest({ path: fixture.source('a', sparse) }, patiently());
    const path = fixture.source('target', contentOf(CHUNK, 4));
    const fd = fs.openSync(path, 'r+');
    await file.copyTo(fd, path);
    fs.closeSync(fd);
    expectSame(fs.readFileSync(path), sparse);
    expect(fs.statSync(path).blocks * 512).toBeLessThan(3 * CHUNK);
  });

  it('is refused while the file is not whole', async () => {
    const file = await store.begin(manifest);
    await expect(file.copyTo(0, 'x')).rejects.toThrow(code('not_found'));
  });

  it('names the target when that cannot be written', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    const fd = fs.openSync(fixture.root, 'r');
    await expect(file.copyTo(fd, 'the target')).rejects.toThrow(/the target/);
    fs.closeSync(fd);
  });
});

describe('records', () => {
  it('are kept, with the SHA-256 that was told', async () => {
    const file = await store.begin(manifest);
    await file.setRecords(['one', 'two'], { sha256: sha256Of(content) });
    await writeAll(file, content);
    await file.whenDurable();
    await file.setRecords(['three'], { sha256: sha256Of(content) });
    const again = (await fixture.open()).get(file.id);
    expect(again).toMatchObject({ records: ['three'], sha256: sha256Of(content), isComplete: true });
  });

  it('cannot contradict a SHA-256 that the store computed', async () => {
    const { file, sha256 } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    await expect(file.setRecords(['x'], { sha256: sha256Of(Buffer.of(1)) })).rejects.toThrow(code('conflict'));
    expect(file).toMatchObject({ records: [], sha256 });
  });
});

describe('removing', () => {
  it('gives the room back and leaves nothing', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    const partial = await store.begin(manifestOf(contentOf(CHUNK * 2, 8)));
    await partial.writeChunk(0, chunkOf(contentOf(CHUNK * 2, 8), 0));
    await store.remove(file.id);
    await store.remove(partial.id);
    expect(store.usage()).toMatchObject({ usedBytes: 0, files: 0, partialFiles: 0 });
    expect(fixture.everyFile()).toEqual([]);
    expect(store.get(file.id)).toBeUndefined();
    await expect(store.remove(file.id)).rejects.toThrow(code('not_found'));
  });

  it('lets those who read and write finish or tells them', async () => {
    const file = await store.begin(manifest);
    await file.writeChunk(0, chunkOf(content, 0));
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 50 }, () => file.readChunk(0)),
      ...[1, 2, 3].map((index) => file.writeChunk(index, chunkOf(content, index))),
      file.setRecords(['x'], { sha256: sha256Of(content) }),
      file.verify(new AbortController().signal, () => {}),
      store.remove(file.id),
    ]);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      expect(outcome.reason).toBeInstanceOf(ShoalError);
      expect(outcome.reason.code).toBe('not_found');
    }
    expect(outcomes.at(-1)?.status).toBe('fulfilled');
    expect(fixture.everyFile()).toEqual([]);
    expect(() => file.readSync(0, 0, Buffer.alloc(1), 0, 1)).toThrow(code('not_found'));
    await expect(file.whenDurable()).rejects.toThrow(code('not_found'));
    expect(fixture.logged).toEqual([]);
  });

  it('and taking in again at once, over and over, never mixes up the old file and the new', async () => {
    const path = fixture.source('a', content);
    for (let round = 0; round < 10; round += 1) {
      const file = await store.begin(manifest);
      const fetching = Promise.allSettled(
        [...file.have.missing()].map((index) => file.writeChunk(index, chunkOf(content, index))),
      );
      if (round % 2 === 0) await store.remove(file.id);
      const ingested = await store.ingest({ path }, patiently());
      await fetching;
      expect((await ingested.file.verify(new AbortController().signal, () => {})).damaged).toEqual([]);
      expect(fs.readFileSync(fixture.pathOf(file.id, '.data')).equals(content)).toBe(true);
      await store.remove(file.id);
    }
  });

  it('lets the same file come again at once', async () => {
    const path = fixture.source('a', content);
    const { file } = await store.ingest({ path }, patiently());
    const [, begun, ingested] = await Promise.all([
      store.remove(file.id),
      store.begin(manifest),
      store.ingest({ path }, patiently()),
    ]);
    expect(ingested.file).toBe(begun);
    expect(begun).not.toBe(file);
    expectSame(await contentIn(begun), content);
    expect(store.usage()).toMatchObject({ usedBytes: footprintOf(content.length), files: 1 });
  });
});

describe('the store', () => {
  it('tells what happens to its files', async () => {
    const events: StoreEvent[] = [];
    const stop = store.onChange((event) => events.push(event));
    store.onChange(() => {
      throw new Error('a listener that fails');
    });
    const file = await store.begin(manifest);
    await writeAll(file, content);
    const other = await store.ingest({ path: fixture.source('b', Buffer.of(1)) }, patiently());
    await store.remove(file.id);
    stop();
    await store.remove(other.file.id);
    const { id } = file;
    expect(events).toEqual([
      { kind: 'added', id },
      { kind: 'completed', id },
      { kind: 'added', id: other.file.id },
      { kind: 'completed', id: other.file.id },
      { kind: 'removed', id },
    ]);
  });

  it('is open to one at a time, and free again after it was closed', async () => {
    const other = new StoreFixture();
    fs.rmSync(other.root, { recursive: true });
    fs.symlinkSync(fixture.root, other.root);
    await expect(other.open()).rejects.toThrow(code('conflict'));
    await fixture.close();
    expect((await other.open()).list()).toEqual([]);
    await other.close();
    fs.unlinkSync(other.root);
    await other.dispose();
  });

  it('refuses everything after it was closed', async () => {
    const { file } = await store.ingest({ path: fixture.source('a', content) }, patiently());
    await fixture.close();
    expect(() => store.list()).toThrow(code('unavailable'));
    await expect(store.begin(manifest)).rejects.toThrow(code('unavailable'));
    await expect(file.readChunk(0)).rejects.toThrow(code('unavailable'));
    await expect(store.ingest({ path: 'x' }, patiently())).rejects.toThrow(code('unavailable'));
  });

  it('ends a verify that is under way when it closes', async () => {
    const path = join(fixture.root, 'large');
    fs.writeFileSync(path, '');
    fs.truncateSync(path, 64 * 1024 * KIB);
    const { file } = await store.ingest({ path }, patiently());
    const verify = file.verify(new AbortController().signal, () => {});
    const refused = expect(verify).rejects.toThrow(code('unavailable'));
    await fixture.close();
    await refused;
  });

  it('ends an ingest that waits for its source when it closes, and leaves nothing of it', async () => {
    let reached = (): void => {};
    const silent = new Promise<void>((resolve) => {
      reached = resolve;
    });
    async function* source(): AsyncGenerator<Buffer> {
      yield content;
      reached();
      await new Promise(() => {});
    }
    const ingest = store.ingest({ stream: source() }, patiently());
    const refused = expect(ingest).rejects.toThrow(code('unavailable'));
    await silent;
    await fixture.close();
    await refused;
    expect(fixture.everyFile()).toEqual([]);
  });

  it('says so when its folder cannot be made', async () => {
    fs.writeFileSync(join(fixture.root, 'file'), '');
    await fixture.close();
    const other = new StoreFixture();
    fs.rmSync(other.root, { recursive: true });
    fs.writeFileSync(other.root, '');
    await expect(other.open()).rejects.toThrow(/making the store/);
    await other.dispose();
  });
});
