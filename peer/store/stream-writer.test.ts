import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contentOf } from '../testing/stores.js';
import { StreamWriter } from './stream-writer.js';

const MIB = 1024 * 1024;

let folder: string;
let path: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'shoal-stream-'));
  path = join(folder, 'file');
});

afterEach(() => fs.rmSync(folder, { recursive: true }));

async function writeAll(pieces: readonly Buffer[]): Promise<number> {
  const fd = fs.openSync(path, 'w+');
  let written = 0;
  let released = 0;
  const writer = new StreamWriter(fd, {
    onWritten: (bytes) => {
      written += bytes;
    },
    // As somebody does who uses the memory for something else.
    release: (piece) => {
      released += piece.length;
      piece.fill(0xff);
    },
  });
  try {
    for (const piece of pieces) await writer.add(Buffer.from(piece));
    await writer.finish();
    expect(released).toBe(written);
    // As whoever uses it does: a hole at the end is none yet.
    fs.ftruncateSync(fd, written);
    return written;
  } finally {
    await writer.settle();
    fs.closeSync(fd);
  }
}

it.each([1, 1000, 64 * 1024, 512 * 1024, 3 * MIB])('writes pieces of %d bytes in a row', async (length) => {
  const content = contentOf(5 * MIB + 7, length);
  const pieces: Buffer[] = [];
  // Single bytes, but for some hundred, would take long to no purpose.
  for (let at = 0; at < content.length; ) {
    const end = length === 1 && at >= 300 ? content.length : at + length;
    pieces.push(content.subarray(at, end));
    at = end;
  }
  expect(await writeAll(pieces)).toBe(content.length);
  expect(fs.readFileSync(path).equals(content)).toBe(true);
});

it('leaves holes where zeros are, in order with the rest', async () => {
  const [before, after] = [contentOf(100, 1), contentOf(200 * 1024, 2)];
  const zeros = Buffer.alloc(4 * MIB);
  const pieces = [before, zeros, after, zeros];
  expect(await writeAll(pieces)).toBe(before.length + after.length + 2 * zeros.length);
  expect(fs.readFileSync(path).equals(Buffer.concat(pieces))).toBe(true);
  expect(fs.statSync(path).blocks * 512).toBeLessThan(MIB);
});

it('writes nothing of nothing', async () => {
  expect(await writeAll([])).toBe(0);
  expect(await writeAll([Buffer.alloc(0)])).toBe(0);
});

it('says what the disk says, soon, and has done with the file when it has settled', async () => {
  fs.writeFileSync(path, 'as it was');
  const fd = fs.openSync(path, 'r');
  const writer = new StreamWriter(fd, {
    onWritten: () => {
      throw new Error('nothing can be written');
    },
    release: () => {
      throw new Error('nothing is written');
    },
  });
  const adding = async () => {
    for (let i = 0; i < 3; i += 1) await writer.add(contentOf(MIB, i));
  };
  await expect(adding()).rejects.toMatchObject({ code: 'EBADF' });
  await expect(writer.finish()).rejects.toMatchObject({ code: 'EBADF' });
  await writer.settle();
  fs.closeSync(fd);
  expect(fs.readFileSync(path, 'utf8')).toBe('as it was');
});
