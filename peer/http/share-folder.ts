import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, realpath, unlink } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { abortError, ShoalError } from '../../common/errors.js';
import { nameProblem } from '../../common/names.js';

/** What became of a file that was received into the share folder. */
export type Received = 'saved' | 'already here' | 'differs';

/** What a received file must be. */
export interface ExpectedContent {
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

const PASSING = /^\.shoal-.*\.part$/;

/**
 * The folder whose files the original's users publish by name and receive into. Nothing outside it is ever read or
 * written, whatever a name says and wherever a symlink in it points; nothing in it is ever overwritten.
 */
export class ShareFolder {
  readonly #dir: string;

  constructor(options: { readonly dir: string }) {
    this.#dir = options.dir;
  }

  /** Makes the folder if it is missing and removes what an interrupted download left in it. */
  async prepare(): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const left = (await readdir(this.#dir)).filter((name) => PASSING.test(name));
    await Promise.all(left.map((name) => unlink(join(this.#dir, name))));
  }

  /**
   * Opens a file of the folder for reading; the caller closes it. Throws `invalid` for what is no name, `not_found`
   * when there is no regular file of that name, and `denied` when the name leads out of the folder.
   */
  async open(name: string): Promise<FileHandle> {
    const path = this.#path(name);
    let handle: FileHandle;
    try {
      // Not blocking: a named pipe would wait for a writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw shareError(cause, name);
    }
    try {
      await this.#checkInside(handle, path, name);
      return handle;
    } catch (error) {
      await handle.close();
      throw shareError(error, name);
    }
  }

  /** How a file of this name in the folder compares with what is expected; undefined when there is none. */
  async compare(name: string, expected: ExpectedContent, signal: AbortSignal): Promise<Received | undefined> {
    let handle: FileHandle;
    try {
      handle = await this.open(name);
    } catch (error) {
      if (error instanceof ShoalError && error.code === 'not_found') return undefined;
      throw error;
    }
    try {
      const { size } = await handle.stat();
      return size === expected.size && (await sha256Of(handle, signal)) === expected.sha256
        ? 'already here'
        : 'differs';
    } finally {
      await handle.close();
    }
  }

  /**
   * Writes `data` under `name`, all of it or nothing: it appears, verified and on disk, in one step. Throws `corrupt`
   * when the bytes are not the expected ones. When a file of that name has appeared meanwhile, that one stays.
   */
  async receive(
    name: string,
    data: AsyncIterable<Buffer>,
    options: { readonly expected: ExpectedContent; readonly signal: AbortSignal },
  ): Promise<Received> {
    const target = this.#path(name);
    const passing = join(this.#dir, `.shoal-${randomUUID()}.part`);
    try {
      await this.#makeParents(name);
      await writeVerified(passing, data, options);
      await link(passing, target);
      return 'saved';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw shareError(error, name);
      return (await this.compare(name, options.expected, options.signal)) ?? 'differs';
    } finally {
      await unlink(passing).catch(ignoreMissing);
    }
  }

  #path(name: string): string {
    const problem = nameProblem(name);
    if (problem !== undefined) throw new ShoalError('invalid', `the name '${name}' ${problem}`);
    return join(this.#dir, ...name.split('/'));
  }

  /**
   * Compares what was opened with what is inside the folder, by device and inode: where the path leads may change
   * between two looks, what is open stays what it is.
   */
  async #checkInside(handle: FileHandle, path: string, name: string): Promise<void> {
    const opened = await handle.stat({ bigint: true });
    if (!opened.isFile()) throw new ShoalError('not_found', `'${name}' is not a regular file`);
    const [folder, real] = await Promise.all([realpath(this.#dir), realpath(path)]);
    const found = await lstat(real, { bigint: true });
    if (!real.startsWith(folder + sep) || found.ino !== opened.ino || found.dev !== opened.dev) throw leadsOut(name);
  }

  /** Makes the folders of a name one by one, below such only as are inside. */
  async #makeParents(name: string): Promise<void> {
    const folder = await realpath(this.#dir);
    let parent = folder;
    for (const segment of dirname(name) === '.' ? [] : dirname(name).split('/')) {
      const next = join(parent, segment);
      await mkdir(next).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      parent = await realpath(next);
      if (parent !== folder && !parent.startsWith(folder + sep)) throw leadsOut(name);
    }
  }
}

async function writeVerified(
  path: string,
  data: AsyncIterable<Buffer>,
  options: { readonly expected: ExpectedContent; readonly signal: AbortSignal },
): Promise<void> {
  const { expected, signal } = options;
  const hash = createHash('sha256');
  const handle = await open(path, 'wx', 0o644);
  let size = 0;
  try {
    for await (const piece of data) {
      if (signal.aborted) throw abortError(signal);
      size += piece.length;
      if (size > expected.size) break;
      hash.update(piece);
      await handle.writeFile(piece);
    }
    if (size !== expected.size || hash.digest('hex') !== expected.sha256) {
      throw new ShoalError('corrupt', 'the bytes that came are not those of the file');
    }
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

async function sha256Of(handle: FileHandle, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of handle.createReadStream({
    start: 0,
    autoClose: false,
    highWaterMark: 1024 * 1024,
    signal,
  })) {
    hash.update(piece as Buffer);
  }
  return hash.digest('hex');
}

function leadsOut(name: string): ShoalError {
  return new ShoalError('denied', `'${name}' leads out of the share folder`);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

const SYSTEM_CODES: Readonly<Record<string, readonly ['not_found' | 'denied' | 'invalid', string]>> = {
  ENOENT: ['not_found', 'is not in the share folder'],
  ENOTDIR: ['not_found', 'is not in the share folder'],
  EISDIR: ['not_found', 'is a folder'],
  ENXIO: ['not_found', 'is not a regular file'],
  ELOOP: ['not_found', 'is a symlink that leads nowhere'],
  ENAMETOOLONG: ['invalid', "has a part that is too long for this peer's disk"],
  EACCES: ['denied', 'may not be read or written by the peer'],
};

function shareError(error: unknown, name: string): unknown {
  const known = SYSTEM_CODES[(error as NodeJS.ErrnoException).code ?? ''];
  return known === undefined ? error : new ShoalError(known[0], `'${name}' ${known[1]}`, { cause: error });
}
