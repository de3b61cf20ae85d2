import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { LocalPath__Output } from '../../proto/gen/shoal/control/v1/LocalPath.js';

/**
 * Opens what the caller named, if it is what the caller sees: a regular file with the same device and inode. Undefined
 * when it is not, or cannot be opened: the bytes then go over the call. What was opened is what was checked, so nothing
 * can be put in its place in between.
 */
export async function openLocalPath(local: LocalPath__Output, use: 'read' | 'write'): Promise<FileHandle | undefined> {
  const access = use === 'read' ? constants.O_RDONLY : constants.O_WRONLY;
  let handle: FileHandle;
  try {
    // Not blocking: a FIFO would wait for its other end.
    handle = await open(local.path, access | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Whatever the reason (another container, another user): the caller, who can open it, sends or takes the bytes.
    return undefined;
  }
  try {
    const { dev, ino, isFile } = await statOf(handle);
    if (isFile && `${dev}` === local.device && `${ino}` === local.inode) return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

async function statOf(handle: FileHandle) {
  const stats = await handle.stat({ bigint: true });
  return { dev: stats.dev, ino: stats.ino, isFile: stats.isFile() };
}
