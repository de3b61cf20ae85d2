import { randomBytes } from 'node:crypto';
import { chmod, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LocalPath } from '../../proto/gen/shoal/control/v1/LocalPath.js';
import { writeError } from './write-error.js';

/** A file that is being made beside the place where it will stand. */
export interface TemporaryFile {
  /** Where the daemon may fill it itself. */
  readonly localPath: LocalPath;
  /** Appends bytes. */
  append(data: Uint8Array): Promise<void>;
  /** How many bytes it has now. */
  size(): Promise<number>;
  /**
   * Puts it in its place, over a regular file that is there. Keeps that file's permissions, else obeys `umask`. Throws
   * `conflict`, `denied` or `exhausted`, naming the path as `shown`.
   */
  moveTo(path: string, options: { readonly umask: number; readonly shown: string }): Promise<void>;
  /** Removes it, unless it was moved. Idempotent. */
  discard(): Promise<void>;
}

const PRIVATE = 0o600;
const PERMISSIONS = 0o777;
const NEW_FILE = 0o666;
const MAX_NAME_BYTES = 255;
const MARK = '.shoal-';

/**
 * Makes an empty file in `folder` (absolute) that only its owner may read, named after `name` so that a person who
 * finds one knows what it was. Throws `denied`, `exhausted` or `invalid`, naming the folder.
 */
export async function createTemporaryFile(folder: string, name: string): Promise<TemporaryFile> {
  const suffix = `${MARK}${randomBytes(4).toString('hex')}`;
  const path = join(await realpath(folder), `.${shortened(name, MAX_NAME_BYTES - suffix.length - 1)}${suffix}`);
  const file = await open(path, 'wx', PRIVATE).catch((error: unknown) => {
    throw writeError(`make a file in ${folder}`, error);
  });
  const { dev, ino } = await file.stat({ bigint: true });
  let isMoved = false;
  return {
    localPath: { path, device: String(dev), inode: String(ino) },
    append: (data) => file.appendFile(data),
    size: async () => (await stat(path)).size,
    async moveTo(target, { umask, shown }) {
      try {
        const place = await existing(target);
        await chmod(path, place === undefined ? NEW_FILE & ~umask : place.mode & PERMISSIONS);
        await rename(path, place?.path ?? target);
      } catch (error) {
        throw writeError(`save ${shown}`, error);
      }
      isMoved = true;
    },
    async discard() {
      await file.close();
      if (!isMoved) await rm(path, { force: true });
    },
  };
}

/** The file that a path leads to, past symbolic links: it is what gets replaced, so that the links stay. */
async function existing(path: string): Promise<{ path: string; mode: number } | undefined> {
  try {
    return { path: await realpath(path), mode: (await stat(path)).mode };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** At most `maxBytes` of UTF-8, no character cut in half. */
function shortened(name: string, maxBytes: number): string {
  let short = basename(name);
  while (Buffer.byteLength(short) > maxBytes) short = [...short].slice(0, -1).join('');
  return short;
}
