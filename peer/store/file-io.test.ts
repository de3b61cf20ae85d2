import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { contentOf } from '../testing/stores.js';
import { isZero, readFully, readFullySync, storageError, writeFully } from './file-io.js';

let folder: string;
let fd: number;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'shoal-io-'));
  fd = fs.openSync(join(folder, 'file'), 'w+');
});

afterEach(() => {
  fs.closeSync(fd);
  fs.rmSync(folder, { recursive: true });
});

describe('reading and writing at a position', () => {
  it('writes all pieces in a row, more of them than the kernel takes at once', async () => {
    const content = contentOf(9000, 1);
    const pieces = Array.from({ length: 3000 }, (_, i) => content.subarray(i * 3, i * 3 + 3));
    await writeFully(fd, [Buffer.alloc(0), ...pieces], 5);
    expect(fs.readFileSync(join(folder, 'file')).subarray(5).equals(content)).toBe(true);
    await writeFully(fd, [], 0);
  });

  it('reads what there is', async () => {
    await writeFully(fd, [Buffer.from('abcdef')], 0);
    const target = Buffer.alloc(4);
    expect(await readFully(fd, target, 1)).toBe(4);
    expect(target.toString()).toBe('bcde');
    expect(await readFully(fd, target, 4)).toBe(2);
    expect(await readFully(fd, target, 6)).toBe(0);
    expect(await readFully(fd, Buffer.alloc(0), 0)).toBe(0);
    expect(readFullySync(fd, target, 3)).toBe(3);
    expect(target.toString()).toBe('defe');
  });

  it('tells a full disk', async () => {
    const full = fs.openSync('/dev/full', 'w');
    await expect(writeFully(full, [Buffer.of(1)], 0)).rejects.toThrow(/ENOSPC/);
    fs.closeSync(full);
  });
});

describe('zeros', () => {
  it('are told from anything else', () => {
    fc.assert(
      fc.property(fc.nat({ max: 200_000 }), fc.nat(), (length, where) => {
        const bytes = Buffer.alloc(length);
        expect(isZero(bytes)).toBe(true);
        if (length === 0) return;
        bytes[where % length] = 1;
        expect(isZero(bytes)).toBe(false);
      }),
    );
  });
});

describe('an error of the file system', () => {
  it('tells what was being done, keeps its cause, and what can be done', () => {
    const cause = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', errno: -28 });
    expect(storageError('writing x', cause)).toMatchObject({
      code: 'exhausted',
      message: 'writing x: no space left on the disk',
      hint: expect.any(String),
      cause,
    });
  });
});
