import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeBytesIn, touchFreeMemory } from './free-memory.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

describe('freeBytesIn', () => {
  test('finds what nobody uses', () => {
    expect(freeBytesIn('MemTotal:  100 kB\nMemFree:          12 kB\nMemAvailable:  90 kB\n')).toBe(12 * 1024);
  });

  test('takes no other figure for it', () => {
    expect(() => freeBytesIn('MemAvailable:  90 kB\n')).toThrow('/proc/meminfo');
  });
});

onLinux('touchFreeMemory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-memory-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('leaves nothing behind', async () => {
    await touchFreeMemory({ folder, signal: new AbortController().signal }, 9 * 2 ** 20);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('stops when it is told to, and leaves nothing behind', async () => {
    const told = touchFreeMemory({ folder, signal: AbortSignal.abort(new Error('enough')) }, 2 ** 40);
    await expect(told).rejects.toThrow('enough');
    expect(readdirSync(folder)).toEqual([]);
  });
});
