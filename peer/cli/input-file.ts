import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { ShoalError } from '../../common/errors.js';
import type { LocalPath } from '../../proto/gen/shoal/control/v1/LocalPath.js';

/** Bytes to publish: a file, open, or standard input. */
export interface Input {
  /** Where the daemon may read it itself. */
  readonly localPath: LocalPath | undefined;
  /** Size in bytes, when known. */
  readonly size: number | undefined;
  /** The bytes, to be read once. */
  read(): Readable;
  close(): Promise<void>;
}

const READ_BYTES = 1024 * 1024;

/**
 * Opens a regular file for reading. It is opened before anything is sent, so that what the daemon is told of and what
 * is streamed are one file even if the path changes hands. Throws `not_found`, `denied` or `invalid`, naming the path
 * as given.
 */
export async function openInputFile(path: string, cwd: string): Promise<Input> {
  const absolute = resolve(cwd, path);
  const file = await openForReading(absolute, path);
  try {
    const stat = await file.stat({ bigint: true });
    if (stat.isDirectory()) {
      throw new ShoalError('invalid', `${path} is a folder`, {
        hint: 'name the files in it, or put an archive: tar c FOLDER | shoal put - --as NAME.tar',
      });
    }
    if (!stat.isFile()) {
      throw new ShoalError('invalid', `${path} is not a regular file`, { hint: 'pipe it in: shoal put - --as NAME' });
    }
    const size = Number(stat.size);
    return {
      localPath: { path: await realpath(absolute), device: String(stat.dev), inode: String(stat.ino) },
      size,
      read: () => file.createReadStream({ highWaterMark: READ_BYTES, autoClose: false, start: 0 }),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Standard input: of unknown length and without a name. */
export function standardInput(stdin: Readable): Input {
  return {
    localPath: undefined,
    size: undefined,
    read: () => stdin,
    close: () => Promise.resolve(),
  };
}

async function openForReading(absolute: string, path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    return await open(absolute, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new ShoalError('not_found', `there is no file ${path}`, { cause: error });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new ShoalError('denied', `may not read ${path}`, { cause: error });
    }
    throw new ShoalError('invalid', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
