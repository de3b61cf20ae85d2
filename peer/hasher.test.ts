import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hasher, type JobControl } from './hasher.js';
import { digestsOf, type Manifest } from './manifest.js';
import { contentOf, manifestOf, sha256Of } from './testing/stores.js';

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;

let folder: string;
let hasher: Hasher;
const fds: number[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'shoal-hasher-'));
  hasher = new Hasher({ threads: 2 });
});

afterEach(async () => {
  await hasher.close();
  for (const fd of fds.splice(0)) fs.closeSync(fd);
  fs.rmSync(folder, { recursive: true });
});

function fileWith(content: Buffer, name = 'from'): number {
  fs.writeFileSync(join(folder, name), content);
  const fd = fs.openSync(join(folder, name), 'r+');
  fds.push(fd);
  return fd;
}

function control(overrides: Partial<JobControl> = {}): JobControl {
  return { signal: new AbortController().signal, onProgress: () => {}, ...overrides };
}

function check(fd: number, manifest: Manifest, chunks: number[]): Promise<{ readonly damaged: readonly number[] }> {
  const digests = digestsOf(manifest);
  return hasher.check({ from: fd, size: manifest.size, digests, chunks: Uint32Array.from(chunks) }, control());
}

describe('the hasher', () => {
  // From 8 MiB on SHA-256 has a thread of its own.
  it.each([0, 1, CHUNK, CHUNK + 1, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1, 21 * MIB + 5])(
    'hashes and copies %d bytes in one reading',
    async (size) => {
      const content = contentOf(size, size);
      const to = fileWith(Buffer.alloc(0), 'to');
      const result = await hasher.hash({ from: fileWith(content), size, to }, control());
      expect(Buffer.from(result.digests)).toEqual(Buffer.from(digestsOf(manifestOf(content))));
      expect(result.sha256).toBe(sha256Of(content));
      expect(fs.readFileSync(join(folder, 'to')).equals(content)).toBe(true);
    },
  );

  it('takes larger chunks for larger files', async () => {
    const from = fileWith(Buffer.alloc(0));
    const size = 256 * MIB + 1;
    fs.ftruncateSync(from, size);
    const result = await hasher.hash({ from, size, to: undefined }, control());
    expect(result.digests.length).toBe(2049 * 32);
  });

  it('does several jobs at once, on more threads and on the same', async () => {
    const contents = Array.from({ length: 6 }, (_, seed) => contentOf((seed % 2 === 0 ? 3 : 11) * MIB + seed, seed));
    const jobs = contents.map((content, i) =>
      hasher.hash({ from: fileWith(content, `from-${i}`), size: content.length, to: undefined }, control()),
    );
    expect((await Promise.all(jobs)).map(({ sha256 }) => sha256)).toEqual(contents.map(sha256Of));
  });

  it('copies, and leaves holes where zeros are', async () => {
    const content = Buffer.concat([Buffer.alloc(3 * MIB), contentOf(5, 1)]);
    const to = fileWith(Buffer.alloc(0), 'to');
    await hasher.copy({ from: fileWith(content), size: content.length, to }, control());
    expect(fs.readFileSync(join(folder, 'to')).equals(content)).toBe(true);
    expect(fs.fstatSync(to).blocks * 512).toBeLessThan(MIB);
  });

  it('finds the chunks that have other bytes, or fewer', async () => {
    const content = contentOf(5 * CHUNK + 10, 1);
    const manifest = manifestOf(content);
    const bytes = Buffer.from(content.subarray(0, 5 * CHUNK + 9));
    bytes[2 * CHUNK] = (bytes[2 * CHUNK] ?? 0) ^ 1;
    const fd = fileWith(bytes);
    expect(await check(fd, manifest, [0, 1, 2, 3, 4, 5])).toEqual({ damaged: [2, 5] });
    expect(await check(fd, manifest, [0, 4])).toEqual({ damaged: [] });
  });

  it('tells when the file ends before its size', async () => {
    const job = hasher.hash({ from: fileWith(Buffer.from('abc')), size: 5, to: undefined }, control());
    await expect(job).rejects.toThrow(
      expect.objectContaining({ code: 'conflict', message: 'ended after 3 of 5 bytes' }),
    );
  });

  it('tells a full disk from other failures', async () => {
    const from = fileWith(Buffer.from('abc'));
    const fullDisk = fs.openSync('/dev/full', 'w');
    fds.push(fullDisk);
    const full = hasher.hash({ from, size: 3, to: fullDisk }, control());
    await expect(full).rejects.toThrow(expect.objectContaining({ code: 'exhausted' }));
    const unwritable = fs.openSync(join(folder, 'from'), 'r');
    fds.push(unwritable);
    const refused = hasher.hash({ from, size: 3, to: unwritable }, control());
    await expect(refused).rejects.toThrow(
      expect.objectContaining({ code: 'internal', message: expect.stringMatching(/EBADF/) }),
    );
  });

  it('goes on with other files after one that it could not read or write to the end', async () => {
    const content = contentOf(12 * MIB, 7);
    const from = fileWith(content);
    const hash = (size: number, to?: number) => hasher.hash({ from, size, to }, control());
    const unwritable = fs.openSync(join(folder, 'from'), 'r');
    fds.push(unwritable);
    const failures = Array.from({ length: 4 }, () => [
      expect(hash(13 * MIB)).rejects.toThrow(expect.objectContaining({ code: 'conflict' })),
      expect(hash(12 * MIB, unwritable)).rejects.toThrow(expect.objectContaining({ code: 'internal' })),
    ]);
    await Promise.all(failures.flat());
    expect((await hash(12 * MIB)).sha256).toBe(sha256Of(content));
  });

  it('stops when it is told to, and has done with the files when it says so', async () => {
    const from = fileWith(Buffer.alloc(0));
    fs.ftruncateSync(from, 4096 * MIB);
    const stop = new AbortController();
    const told: number[] = [];
    const onProgress = (bytes: number): void => {
      told.push(bytes);
      stop.abort();
    };
    const job = hasher.hash({ from, size: 4096 * MIB, to: undefined }, { signal: stop.signal, onProgress });
    await expect(job).rejects.toThrow(expect.objectContaining({ code: 'cancelled' }));
    expect(told[0]).toBeLessThan(100 * MIB);
    const late = hasher.hash({ from, size: 1, to: undefined }, { signal: stop.signal, onProgress });
    await expect(late).rejects.toThrow(expect.objectContaining({ code: 'cancelled' }));
  });

  it('fails with what the watcher of its progress throws', async () => {
    const from = fileWith(Buffer.alloc(0));
    fs.ftruncateSync(from, 4096 * MIB);
    const onProgress = (): void => {
      throw new Error('nobody listens any more');
    };
    const job = hasher.hash({ from, size: 4096 * MIB, to: undefined }, control({ onProgress }));
    await expect(job).rejects.toThrow('nobody listens any more');
  });

  it('ends its jobs when it is closed', async () => {
    const from = fileWith(Buffer.alloc(0));
    fs.ftruncateSync(from, 4096 * MIB);
    let begun = (): void => {};
    const isUnderWay = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const job = hasher.hash({ from, size: 4096 * MIB, to: undefined }, control({ onProgress: () => begun() }));
    const ended = expect(job).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
    await isUnderWay;
    await hasher.close();
    await ended;
    const late = hasher.hash({ from, size: 1, to: undefined }, control());
    await expect(late).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
  });
});
