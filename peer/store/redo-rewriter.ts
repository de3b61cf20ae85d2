import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '../../common/errors.js';
import type { Hasher } from '../hasher.js';
import { isMissing, readFullySync, writeFullySync } from './file-io.js';
import { decodeInfo } from './info-file.js';
import type { RedoEntry } from './redo-entry.js';
import type { RedoFile } from './redo-file.js';
import type { StorePaths } from './store-paths.js';
import { syncSmallFiles } from './sync-small-files.js';

/** What is written before it is synced, and others have their turn; a disk that still fails costs no more than this. */
const PIECE_ENTRIES = 20;
const PIECE_BYTES = 1024 * 1024;

/**
 * Settles logs that the disk did not let be settled, while the store is in use. The kernel tells once of what it could not
 * write, after which it takes the pages for written: another sync of the same files may well succeed, and they be gone
 * when memory is needed. So each is written again, and only then synced.
 *
 * It is written in place, and only where it is. Whoever reads it meanwhile reads the same bytes; what is removed or replaced
 * meanwhile is not touched, because a file that was opened before is another one by then; and no file comes back. Content
 * is what the log has, for an id has one content. An info file may be newer than the log, and proves itself: it is written
 * as it is, and taken from the log only when the disk has lost it, the newest of several.
 */
export class RedoRewriter {
  readonly #deps: { readonly hasher: Pick<Hasher, 'sync'>; readonly paths: StorePaths; readonly closing: AbortSignal };
  /** Info files that were taken from a log, as they were written. */
  readonly #fromLog = new Map<string, Buffer>();

  constructor(deps: {
    readonly hasher: Pick<Hasher, 'sync'>;
    readonly paths: StorePaths;
    /** Fires when the store closes. */
    readonly closing: AbortSignal;
  }) {
    this.#deps = deps;
  }

  /**
   * Goes on behind `from` with a log to which nothing is added; logs come in their order. Yields up to where what it tells
   * of is durable, the end of the log at last; throws what the disk says, and `corrupt` when the log is damaged.
   */
  async *rewrite(log: RedoFile, from: number): AsyncGenerator<number> {
    const ids = new Set<string>();
    let [durableEnd, end] = [from, from];
    for (const entry of log.entries(from)) {
      this.#writeAgain(entry);
      ids.add(entry.id);
      end = entry.end;
      if (ids.size < PIECE_ENTRIES && end - durableEnd < PIECE_BYTES) continue;
      await syncSmallFiles(this.#deps, ids);
      ids.clear();
      yield end;
      durableEnd = end;
      await turn();
    }
    if (end !== log.end) throw new ShoalError('corrupt', `the log of the store is damaged behind byte ${end}`);
    await syncSmallFiles(this.#deps, ids);
    yield end;
  }

  #writeAgain({ id, info, data }: RedoEntry): void {
    if (info === undefined) return;
    const { paths } = this.#deps;
    const isThere = overwrite(paths.info(id), (fd) => this.#newest(id, bytesIn(fd), info));
    if (isThere && data !== undefined) overwrite(paths.data(id), () => data);
  }

  #newest(id: string, held: Buffer, info: Buffer): Buffer {
    if (isInfoOf(id, held) && this.#fromLog.get(id)?.equals(held) !== true) return held;
    this.#fromLog.set(id, info);
    return info;
  }
}

/** Gives a file the bytes that `bytesOf` makes of the open one, in place; false when there is no such file. */
function overwrite(path: string, bytesOf: (fd: number) => Buffer): boolean {
  let fd: number;
  try {
    fd = fs.openSync(path, 'r+');
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  try {
    const bytes = bytesOf(fd);
    writeFullySync(fd, bytes, 0);
    fs.ftruncateSync(fd, bytes.length);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}

/** What can be read of an open file. */
function bytesIn(fd: number): Buffer {
  const bytes = Buffer.allocUnsafe(fs.fstatSync(fd).size);
  try {
    return bytes.subarray(0, readFullySync(fd, bytes, 0));
  } catch {
    // It is to be written, and the log has it.
    return bytes.subarray(0, 0);
  }
}

function isInfoOf(id: string, bytes: Buffer): boolean {
  try {
    decodeInfo(bytes, id);
    return true;
  } catch {
    return false;
  }
}
