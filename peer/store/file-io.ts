import fs from 'node:fs';
import { ShoalError, toShoalError } from '../../common/errors.js';

// Positioned reads and writes on plain descriptors, through the callback interface: it costs half of what file handles
// cost, and descriptors can be handed to worker threads.

const ZEROS = Buffer.alloc(64 * 1024);

/** Whether all bytes are zero. Costs next to nothing when they are not. */
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/** Reads `target` full from `position`; resolves to the bytes read, fewer only at the end of the file. */
export function readFully(fd: number, target: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const step = (done: number): void => {
      fs.read(fd, target, done, target.length - done, position + done, (error, bytesRead) => {
        if (error !== null) reject(error);
        else if (bytesRead === 0 || done + bytesRead === target.length) resolve(done + bytesRead);
        else step(done + bytesRead);
      });
    };
    step(0);
  });
}

/** {@link readFully} on the calling thread. */
export function readFullySync(fd: number, target: Buffer, position: number): number {
  let done = 0;
  while (done < target.length) {
    const bytesRead = fs.readSync(fd, target, done, target.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Writes all the pieces in a row, the first at `position`. */
export function writeFully(fd: number, pieces: readonly Buffer[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (rest: readonly Buffer[], at: number): void => {
      const [first] = rest;
      if (first === undefined) {
        resolve();
        return;
      }
      const onWritten = (error: Error | null, written: number): void => {
        if (error !== null) reject(error);
        else step(without(rest, written), at + written);
      };
      if (rest.length === 1) fs.write(fd, first, 0, first.length, at, onWritten);
      else fs.writev(fd, rest, at, onWritten);
    };
    step(without(pieces, 0), position);
  });
}

/** {@link writeFully} of one piece on the calling thread. */
export function writeFullySync(fd: number, data: Buffer, position: number): void {
  let done = 0;
  while (done < data.length) done += fs.writeSync(fd, data, done, data.length - done, position + done);
}

/** What is left of the pieces when their first `written` bytes are gone; empty pieces go too. */
function without(pieces: readonly Buffer[], written: number): readonly Buffer[] {
  let gone = written;
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    if (piece.length > gone) rest.push(gone === 0 ? piece : piece.subarray(gone));
    gone = Math.max(0, gone - piece.length);
  }
  return rest;
}

/** What a failed system call says, such as ENOENT; undefined for any other failure. */
export function systemCode(error: unknown): string | undefined {
  const { errno, code } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return typeof errno === 'number' ? code : undefined;
}

/** Whether a failed call says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** Removes a file; one that is not there is no failure. */
export async function removeIfThere(path: string): Promise<void> {
  await fs.promises.rm(path, { force: true });
}

/** A failure of the file system as an error whose message begins with what was being done. Ours pass unchanged. */
export function storageError(doing: string, cause: unknown): ShoalError {
  if (cause instanceof ShoalError) return cause;
  const { code, message, hint } = toShoalError(cause);
  return new ShoalError(code, `${doing}: ${message}`, { cause, ...(hint === undefined ? {} : { hint }) });
}
