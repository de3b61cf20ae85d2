import { randomFillSync } from 'node:crypto';
import { mkdir, open, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchEnvironment } from './environment.js';
import { touchFreeMemory } from './free-memory.js';
import { runMeasured } from './measured-command.js';

const FOLDER_FILES = 100;
const PIECE_BYTES = 8 * 1024 * 1024;

/** Makes a file of random bytes, so that no two are alike and none can be compressed. */
export async function makeRandomFile(path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, bytes));
    for (let written = 0; written < bytes; written += piece.length) {
      signal.throwIfAborted();
      await file.writeFile(randomFillSync(piece).subarray(0, bytes - written));
    }
  } finally {
    await file.close();
  }
}

/**
 * Makes a folder of random files of the same size, a hundred in a folder, of `bytes` together. Resolves to their paths in
 * the folder.
 */
export async function makeRandomFiles(
  folder: string,
  { bytes, files }: { readonly bytes: number; readonly files: number },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const data = Buffer.allocUnsafe(bytes / files);
  const paths: string[] = [];
  for (let i = 0; i < files; i += 1) {
    signal.throwIfAborted();
    const inside = `part-${String(Math.floor(i / FOLDER_FILES)).padStart(4, '0')}`;
    if (i % FOLDER_FILES === 0) await mkdir(join(folder, inside), { recursive: true });
    const path = join(inside, `file-${String(i).padStart(6, '0')}.bin`);
    await writeFile(join(folder, path), randomFillSync(data), { flag: 'wx' });
    paths.push(path);
  }
  return paths;
}

/**
 * Gives `work` a path to make a copy of `source` at, and removes the copy afterwards. Rejects when it is not the same
 * bytes.
 */
export async function withCopy<T>(
  bench: BenchEnvironment,
  source: string,
  work: (target: string) => Promise<T>,
): Promise<T> {
  const target = join(bench.folder, 'copy.bin');
  // A peer keeps a copy too.
  await settle(bench, 2 * (await stat(source)).size);
  try {
    const result = await work(target);
    await runMeasured(['cmp', source, target], bench);
    return result;
  } finally {
    await rm(target, { force: true });
  }
}

/**
 * Brings what was written so far to the disk, so that the next step does not pay for it, and has memory ready for the
 * `bytes` that it will write.
 */
export async function settle(bench: BenchEnvironment, bytes: number): Promise<void> {
  await runMeasured(['sync', '--file-system', bench.folder], bench);
  await touchFreeMemory(bench, bytes);
}
