import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import type { ChunkStore } from './chunk-store.js';
import { footprintOf } from './store/footprint.js';
import {
  chunkOf,
  contentIn,
  contentOf,
  manifestOf,
  patiently,
  StoreFixture,
  sha256Of,
  streamOf,
} from './testing/stores.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = 64 * KIB;

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

function expectNothingKept(): void {
  expect(store.list()).toEqual([]);
  expect(store.usage().usedBytes).toBe(0);
  expect(fixture.everyFile()).toEqual([]);
}

/** Options that call `act` once, when the first bytes have been read. */
function onFirstProgress(act: () => void): { signal: AbortSignal; onProgress: () => void } {
  let isFirst = true;
  return {
    signal: new AbortController().signal,
    onProgress: () => {
      if (isFirst) act();
      isFirst = false;
    },
  };
}

describe('taking in', () => {
  it.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * MIB + 7])(
    '%d bytes from a path, a descriptor and streams',
    async (size) => {
      const content = contentOf(size, size);
      const path = fixture.source('source', content);
      const fd = fs.openSync(path, 'r');
      const middle = Math.floor(size / 3);
      const sources = [
        { path },
        { fd },
        { stream: streamOf(content), size },
        { stream: streamOf(content.subarray(0, middle), Buffer.alloc(0), content.subarray(middle)) },
      ];
      for (const source of sources) {
        const { file, sha256, isNew } = await store.ingest(source, patiently());
        expect(isNew).toBe(true);
        expect(sha256).toBe(sha256Of(content));
        expect(file).toMatchObject({ id: manifestOf(content).id, size, sha256, isComplete: true, records: [] });
        expect(file.manifest.encoded.equals(manifestOf(content).encoded)).toBe(true);
        expect((await contentIn(file)).equals(content)).toBe(true);
        await store.remove(file.id);
      }
      fs.closeSync(fd);
      expectNothingKept();
    },
  );

  it('leaves the position of a descriptor where it is', async () => {
    const fd = fs.openSync(fixture.source('source', Buffer.from('abcdef')), 'r');
    fs.readSync(fd, Buffer.alloc(2));
    await store.ingest({ fd }, patiently());
    const rest = Buffer.alloc(4);
    fs.readSync(fd, rest);
    fs.closeSync(fd);
    expect(rest.toString()).toBe('cdef');
  });

  it('tells how far it is, up to the whole', async () => {
    const content = contentOf(20 * MIB, 1);
    const told: [number, number][] = [];
    const onProgress = (done: number, total: number): unknown => told.push([done, total]);
    await store.ingest({ path: fixture.source('source', content) }, { ...patiently(), onProgress });
    expect(told.at(-1)).toEqual([content.length, content.length]);
    expect(told.length).toBeGreaterThan(1);
    expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).sort((a, b) => a - b));
  });

  it('tells how much of a stream has come, and the whole only if it was said', async () => {
    const content = contentOf(3 * MIB, 1);
    for (const said of [{ size: content.length }, {}]) {
      const told: [number, number][] = [];
      const onProgress = (done: number, total: number): unknown => told.push([done, total]);
      await store.ingest(
        { stream: streamOf(...[0, 1, 2].map((at) => content.subarray(at * MIB, (at + 1) * MIB))), ...said },
        { ...patiently(), onProgress },
      );
      expect(told.map(([done]) => done)).toEqual([MIB, 2 * MIB, 3 * MIB]);
      expect(new Set(told.map(([, total]) => total))).toEqual(new Set([said.size ?? 0]));
    }
  });

  it('keeps one copy of the same content, also when it comes several times at once', async () => {
    const content = contentOf(CHUNK * 2, 1);
    const path = fixture.source('source', content);
    const results = await Promise.all(Array.from({ length: 5 }, () => store.ingest({ path }, patiently())));
    const again = await store.ingest({ stream: streamOf(content) }, patiently());
    expect(new Set(results.map(({ file }) => file))).toEqual(new Set([again.file]));
    expect(results.filter(({ isNew }) => isNew).length).toBe(1);
    expect(again.isNew).toBe(false);
    expect(store.usage()).toMatchObject({ files: 1, usedBytes: footprintOf(content.length) });
    expect(fixture.everyFile().length).toBe(2);
  });

  it('completes a file that was being fetched', async () => {
    const content = contentOf(3 * CHUNK, 1);
    const file = await store.begin(manifestOf(content));
    await file.writeChunk(1, chunkOf(content, 1));
    const verified: number[] = [];
    file.onVerified((index) => verified.push(index));
    const result = await store.ingest({ path: fixture.source('source', content) }, patiently());
    expect(result).toMatchObject({ file, isNew: true });
    expect(verified).toEqual([0, 2]);
    expect(file).toMatchObject({ isComplete: true, sha256: sha256Of(content) });
    expect(await file.writeChunk(0, chunkOf(content, 0))).toBe(false);
    expect(store.usage()).toMatchObject({ usedBytes: footprintOf(content.length), files: 1, partialFiles: 0 });
    await fixture.close();
    expect(fixture.everyFile()).toEqual([`${file.id}.data`, `${file.id}.info`]);
    const again = (await fixture.open()).get(file.id);
    expect(again?.isComplete).toBe(true);
    expect(again && (await contentIn(again)).equals(content)).toBe(true);
  });

  it('tells the SHA-256 of a file that was fetched, when its content comes a second time', async () => {
    const content = contentOf(5, 1);
    const file = await store.begin(manifestOf(content));
    await file.writeChunk(0, content);
    expect(file.sha256).toBeUndefined();
    await store.ingest({ stream: streamOf(content) }, patiently());
    expect(file.sha256).toBe(sha256Of(content));
  });

  it('does not fill the disk with zeros', async () => {
    const path = join(fixture.root, 'sparse');
    fs.writeFileSync(path, '');
    fs.truncateSync(path, 200 * MIB);
    const { file, sha256 } = await store.ingest({ path }, patiently());
    expect(store.usage().usedBytes).toBe(footprintOf(200 * MIB));
    expect(fs.statSync(fixture.pathOf(file.id, '.data'))).toMatchObject({ size: 200 * MIB, blocks: 0 });
    async function* zeros(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 200; i += 1) yield Buffer.alloc(MIB);
    }
    expect(await store.ingest({ stream: zeros() }, patiently())).toEqual({ file, sha256, isNew: false });
  });

  it('keeps many small files, and finds them again', async () => {
    const contents = Array.from({ length: 200 }, (_, seed) => contentOf(100 + seed, seed));
    const results = await Promise.all(
      contents.map((content) => store.ingest({ stream: streamOf(content) }, patiently())),
    );
    store = await fixture.open();
    expect(store.usage()).toMatchObject({ files: 200, partialFiles: 0 });
    for (const [i, { file }] of results.entries()) {
      const again = store.get(file.id);
      expect(again && (await contentIn(again)).toString('hex')).toBe(contents[i]?.toString('hex'));
    }
  });
});

describe('refusing', () => {
  const big = contentOf(64 * MIB, 2);

  it('what changes while it is being read', async () => {
    const path = fixture.source('source', big);
    const changes = [
      () => fs.truncateSync(path, 0),
      () => fs.truncateSync(path, big.length / 2),
      () => fs.appendFileSync(path, 'more'),
      () => {
        const fd = fs.openSync(path, 'r+');
        fs.writeSync(fd, Buffer.of(1), 0, 1, 0);
        fs.closeSync(fd);
      },
    ];
    for (const change of changes) {
      fs.writeFileSync(path, big);
      await expect(store.ingest({ path }, onFirstProgress(change))).rejects.toThrow(code('conflict'));
      expectNothingKept();
    }
  });

  it('what has more bytes than its size says', async () => {
    await expect(store.ingest({ path: '/proc/self/status' }, patiently())).rejects.toThrow(code('conflict'));
    expectNothingKept();
  });

  it('what is no regular file, by name and without waiting', async () => {
    const pipe = join(fixture.root, 'a pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(store.ingest({ path: pipe }, patiently())).rejects.toThrow(/a pipe is not a regular file/);
    await expect(store.ingest({ path: fixture.root }, patiently())).rejects.toThrow(code('invalid'));
    await expect(store.ingest({ path: '/dev/zero' }, patiently())).rejects.toThrow(code('invalid'));
    await expect(store.ingest({ path: `${pipe}/below` }, patiently())).rejects.toThrow(code('not_found'));
    await expect(store.ingest({ path: join(fixture.root, 'nothing') }, patiently())).rejects.toThrow(/nothing/);
    await expect(store.ingest({ fd: 999_999 }, patiently())).rejects.toThrow(code('internal'));
    expectNothingKept();
  });

  it.each([
    ['more', 3],
    ['fewer', 5],
  ])('a stream of %s bytes than were announced', async (_, size) => {
    const ingest = store.ingest({ stream: streamOf(Buffer.from('ab'), Buffer.from('cd')), size }, patiently());
    await expect(ingest).rejects.toThrow(code('invalid'));
    expectNothingKept();
  });

  it('a stream that fails, and tells why', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.from('ab');
      throw new Error('the sender went away');
    }
    await expect(store.ingest({ stream: failing() }, patiently())).rejects.toThrow(/the sender went away/);
    expectNothingKept();
  });

  it('goes on no further when it is told to stop, and leaves nothing', async () => {
    const path = fixture.source('source', big);
    const stop = new AbortController();
    const stopping = { signal: stop.signal, onProgress: () => stop.abort() };
    await expect(store.ingest({ path }, stopping)).rejects.toThrow(code('cancelled'));
    await expect(store.ingest({ path }, stopping)).rejects.toThrow(code('cancelled'));
    expectNothingKept();
  });

  it('stops at once when a stream is silent, and ends the stream', async () => {
    const stop = new AbortController();
    let isReturned = false;
    const silent: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          stop.abort();
          return new Promise(() => {});
        },
        return: async () => {
          isReturned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const ingest = store.ingest({ stream: silent }, { signal: stop.signal, onProgress: () => {} });
    await expect(ingest).rejects.toThrow(code('cancelled'));
    expect(isReturned).toBe(true);
    expectNothingKept();
  });
});

/** Enough for one file of 44 KiB, and for what is noted of it. */
const QUOTA = footprintOf(44 * KIB);

describe('the quota', () => {
  beforeEach(async () => {
    store = await fixture.open({ quotaBytes: QUOTA });
  });

  it('refuses a file before a byte is read, and says how much there is', async () => {
    let isRead = false;
    async function* source(): AsyncGenerator<Buffer> {
      isRead = true;
      yield Buffer.alloc(50 * KIB);
    }
    await store.ingest({ stream: streamOf(contentOf(4 * KIB, 1)) }, patiently());
    const refusal = {
      code: 'exhausted',
      message:
        'the stream needs 57.86 kB, but only 40.96 kB are left of the quota of 49.66 kB, of which 8.70 kB are used',
      hint: expect.stringContaining('shoal rm'),
      details: { needBytes: footprintOf(50 * KIB), freeBytes: QUOTA - footprintOf(4 * KIB), quotaBytes: QUOTA },
    };
    await expect(store.ingest({ stream: source(), size: 50 * KIB }, patiently())).rejects.toMatchObject(refusal);
    expect(isRead).toBe(false);
    const path = fixture.source('a file', contentOf(40 * KIB, 2));
    await expect(store.ingest({ path }, patiently())).rejects.toThrow(/a file needs 45.57 kB/);
    await expect(store.begin(manifestOf(contentOf(40 * KIB, 2)))).rejects.toThrow(code('exhausted'));
    expect(store.usage()).toEqual({
      usedBytes: footprintOf(4 * KIB),
      freeBytes: QUOTA - footprintOf(4 * KIB),
      quotaBytes: QUOTA,
      files: 1,
      partialFiles: 0,
      unsettledLogs: 0,
    });
    expect(fixture.everyFile().length).toBe(2);
  });

  it('is enough to the last byte', async () => {
    await store.ingest({ stream: streamOf(contentOf(44 * KIB, 1)), size: 44 * KIB }, patiently());
    expect(store.usage().freeBytes).toBe(0);
  });

  it('stops a stream of unknown length where it ends, and leaves nothing', async () => {
    const pieces = Array.from({ length: 45 }, (_, seed) => contentOf(KIB, seed));
    await expect(store.ingest({ stream: streamOf(...pieces) }, patiently())).rejects.toThrow(code('exhausted'));
    expectNothingKept();
  });

  it('is promised to one of two, not to both', async () => {
    const outcomes = await Promise.allSettled([
      store.begin(manifestOf(contentOf(25 * KIB, 1))),
      store.ingest({ path: fixture.source('a', contentOf(25 * KIB, 2)) }, patiently()),
      store.ingest({ stream: streamOf(contentOf(25 * KIB, 3)), size: 25 * KIB }, patiently()),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(store.usage().usedBytes).toBe(footprintOf(25 * KIB));
  });

  it('may be lower than what is there: then nothing more is taken', async () => {
    const content = contentOf(10 * KIB, 1);
    const { file } = await store.ingest({ stream: streamOf(content) }, patiently());
    store = await fixture.open({ quotaBytes: KIB });
    expect(store.usage()).toMatchObject({ usedBytes: footprintOf(10 * KIB), freeBytes: 0, files: 1 });
    expect(store.get(file.id)?.isComplete).toBe(true);
    await expect(store.begin(manifestOf(Buffer.of(1)))).rejects.toThrow(code('exhausted'));
  });
});

describe('the disk', () => {
  it('is not filled beyond what is reserved for others', async () => {
    store = await fixture.open({ reserveBytes: Number.MAX_SAFE_INTEGER });
    expect(store.usage().freeBytes).toBe(0);
    await expect(store.begin(manifestOf(Buffer.of(1)))).rejects.toThrow(/left on the disk/);
  });
});
