import fs, { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { ShoalError } from '../../common/errors.js';
import type { LocalPath } from '../../proto/gen/shoal/control/v1/LocalPath.js';
import type { Io } from './io.js';

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

const UNKNOWN = { localPath: undefined, size: undefined };
const READ_BYTES = 1024 * 1024;
/** Without O_NONBLOCK, opening a named pipe would wait for its writer. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

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
    refuseUnlessRegular(stat, path);
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

/** Standard input. A pipe, and a file of which nothing was read, the daemon may be able to read itself. */
export function standardInput(io: Pick<Io, 'stdin' | 'stdinFd'>): Input {
  return {
    ...(io.stdinFd === undefined ? UNKNOWN : placeOf(io.stdinFd)),
    read: () => io.stdin,
    close: () => Promise.resolve(),
  };
}

/**
 * Where others on this machine find what is open here; unknown where there is no /proc. What says that it has no bytes may have
 * some all the same, as files of /proc do.
 */
function placeOf(fd: number): Pick<Input, 'localPath' | 'size'> {
  if (process.platform !== 'linux') return UNKNOWN;
  const stat = fs.fstatSync(fd, { bigint: true });
  const isWhole =
    stat.isFile() && stat.size > 0n && /^pos:\s*0$/m.test(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  if (!stat.isFIFO() && !isWhole) return UNKNOWN;
  return {
    localPath: { path: `/proc/${process.pid}/fd/${fd}`, device: String(stat.dev), inode: String(stat.ino) },
    size: isWhole ? Number(stat.size) : undefined,
  };
}

/**
 * All bytes of a regular file that has at most `maxBytes`; undefined when it has more. Throws as {@link openInputFile}, and
 * `invalid` when the file changes meanwhile. Blocks: a small file is read sooner than a thread is asked to.
 */
export function readIfSmall(path: string, cwd: string, maxBytes: number): Buffer | undefined {
  let file: number | undefined;
  try {
    file = fs.openSync(resolve(cwd, path), READ_FLAGS);
    const stat = fs.fstatSync(file);
    refuseUnlessRegular(stat, path);
    if (stat.size > maxBytes) return undefined;
    // One byte more than it should have shows that it grows.
    const data = Buffer.allocUnsafe(stat.size + 1);
    const bytesRead = fs.readSync(file, data, 0, data.length, 0);
    if (bytesRead === stat.size) return data.subarray(0, bytesRead);
    throw new ShoalError('invalid', `${path} changed while it was read`);
  } catch (error) {
    throw error instanceof ShoalError ? error : readingError(error, path);
  } finally {
    if (file !== undefined) fs.closeSync(file);
  }
}

function refuseUnlessRegular(stat: { isDirectory(): boolean; isFile(): boolean }, path: string): void {
  if (stat.isDirectory()) {
    throw new ShoalError('invalid', `${path} is a folder`, { hint: 'put it alone, to publish the files in it' });
  }
  if (!stat.isFile()) {
    throw new ShoalError('invalid', `${path} is not a regular file`, { hint: 'pipe it in: shoal put - --as NAME' });
  }
}

async function openForReading(absolute: string, path: string): Promise<FileHandle> {
  try {
    return await open(absolute, READ_FLAGS);
  } catch (error) {
    throw readingError(error, path);
  }
}

function readingError(error: unknown, path: string): ShoalError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new ShoalError('not_found', `there is no file ${path}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') return new ShoalError('denied', `may not read ${path}`, { cause: error });
  return new ShoalError('invalid', `cannot read ${path}: ${message}`, { cause: error });
}
