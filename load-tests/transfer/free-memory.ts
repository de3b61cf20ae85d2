import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchEnvironment } from './environment.js';

/*
 * A virtual machine may give free memory back to its host (free page reporting of virtio-balloon). It does so with large
 * free blocks, two seconds after they became free, and whoever uses them next pays for having them fetched again, up to ten
 * times what writing to them costs. Those are programs that write in large pieces: the kernel has large blocks for them, and
 * for who writes little at a time small ones, which it never gives back. So what a step takes would depend on how much
 * was removed just before it.
 */

/** Large enough for the largest blocks in which a page cache is kept. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** More could push files out of the page cache, which the next step is to find there. */
const MOST_OF_FREE = 0.5;

/**
 * Has the machine own as much of its free memory as a step will write, by writing as much and removing it. The step should
 * follow at once. On a machine that owns its memory nothing changes.
 */
export async function touchFreeMemory(
  { folder, signal }: Pick<BenchEnvironment, 'folder' | 'signal'>,
  bytes: number,
): Promise<void> {
  const path = join(folder, 'free-memory.bin');
  const piece = Buffer.alloc(PIECE_BYTES);
  const most = Math.min(bytes, MOST_OF_FREE * freeBytesIn(await readFile('/proc/meminfo', 'utf8')));
  const file = await open(path, 'wx');
  try {
    for (let written = 0; written < most; written += piece.length) {
      signal.throwIfAborted();
      await file.write(piece);
    }
  } finally {
    await file.close();
    await rm(path);
  }
}

/** What nobody uses, not even as a cache, in the text of /proc/meminfo. */
export function freeBytesIn(meminfo: string): number {
  const kibibytes = /^MemFree:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (kibibytes === undefined) throw new Error('/proc/meminfo does not say how much memory is free');
  return Number(kibibytes) * 1024;
}
