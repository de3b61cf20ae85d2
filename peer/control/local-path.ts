import { type BigIntStats, constants } from 'node:fs';
import { access, type FileHandle, open } from 'node:fs/promises';
import type { LocalPath__Output } from '../../proto/gen/shoal/control/v1/LocalPath.js';

/** What a caller can see and the daemon could open as well. */
export interface LocalSource {
  readonly handle: FileHandle;
  readonly isPipe: boolean;
}

/**
 * Opens the file that the caller named to write to it, if it is what the caller sees: a regular file with the same device and
 * inode. Undefined when it is not, or cannot be opened: the bytes then go over the call. What was opened is what was
 * checked, so nothing can be put in its place in between.
 */
export async function openLocalTarget(local: LocalPath__Output): Promise<FileHandle | undefined> {
  const opened = await openSeen(local, constants.O_WRONLY);
  if (opened?.kind === 'file') return opened.handle;
  await opened?.handle.close();
  return undefined;
}

/**
 * Opens what the caller named to read it, if it is what the caller sees, as {@link openLocalTarget} does; or a pipe, if the
 * daemon may write to that as well, which reading it takes.
 */
export async function openLocalSource(local: LocalPath__Output): Promise<LocalSource | undefined> {
  const opened = await openSeen(local, constants.O_RDONLY);
  if (opened === undefined) return undefined;
  const { handle, kind } = opened;
  if (kind === 'file' || (kind === 'pipe' && (await isWritable(handle)))) return { handle, isPipe: kind === 'pipe' };
  await handle.close();
  return undefined;
}

interface Opened {
  readonly handle: FileHandle;
  /** Undefined for anything that is not what the caller sees. */
  readonly kind: 'file' | 'pipe' | undefined;
}

async function openSeen(local: LocalPath__Output, access: number): Promise<Opened | undefined> {
  let handle: FileHandle;
  try {
    // Not blocking: a FIFO would wait for its other end.
    handle = await open(local.path, access | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    // Whatever the reason (another container, another user): the caller, who can open it, sends or takes the bytes.
    return undefined;
  }
  try {
    const stats = await handle.stat({ bigint: true });
    const isSeen = `${stats.dev}` === local.device && `${stats.ino}` === local.inode;
    return { handle, kind: isSeen ? kindOf(stats) : undefined };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function kindOf(stats: BigIntStats): 'file' | 'pipe' | undefined {
  if (stats.isFile()) return 'file';
  return stats.isFIFO() ? 'pipe' : undefined;
}

async function isWritable({ fd }: FileHandle): Promise<boolean> {
  return await access(`/proc/self/fd/${fd}`, constants.W_OK).then(
    () => true,
    () => false,
  );
}
