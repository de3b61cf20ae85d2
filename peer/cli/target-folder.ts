import { mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import { writeError } from './write-error.js';

/**
 * A folder that takes many files with the folders they lie in. Names come from other people: none of them leads out of
 * the folder, neither by what it says nor through a link that is there already.
 */
export class TargetFolder {
  /** As the caller wrote it; empty for the current one. */
  readonly path: string;
  readonly #absolute: string;
  /** Real paths of folders that are there, by their path from here on. */
  readonly #made = new Map<string, Promise<string>>();

  constructor(path: string, cwd: string) {
    this.path = path;
    this.#absolute = resolve(cwd, path);
  }

  /**
   * The real path for a file, whose folders are made. Throws `corrupt` for a name that no file may have, `conflict` when a
   * folder of its own cannot be made or leads elsewhere.
   */
  async place(inside: string): Promise<string> {
    const segments = inside.split('/');
    if (segments.some((segment) => segment === '' || segment === '.' || segment === '..' || segment.includes('\0'))) {
      throw new ShoalError('corrupt', `the name '${inside}' is none that a file may be saved under`);
    }
    const folder = dirname(inside);
    return join(await this.#folder(folder === '.' ? '' : folder), segments.at(-1) ?? '');
  }

  #folder(inside: string): Promise<string> {
    let made = this.#made.get(inside);
    if (made === undefined) {
      made = inside === '' ? this.#makeRoot() : this.#makeInside(inside);
      this.#made.set(inside, made);
    }
    return made;
  }

  async #makeRoot(): Promise<string> {
    try {
      await mkdir(this.#absolute, { recursive: true });
    } catch (error) {
      throw folderError(this.path, error);
    }
    return realpath(this.#absolute);
  }

  /** A folder at a time: one that leads out must not get others made in there. */
  async #makeInside(inside: string): Promise<string> {
    const parent = dirname(inside);
    const root = await this.#folder('');
    const path = join(await this.#folder(parent === '.' ? '' : parent), inside.slice(inside.lastIndexOf('/') + 1));
    const shown = join(this.path, inside);
    try {
      await mkdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw folderError(shown, error);
    }
    // A link that leads nowhere has no real path.
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || !(await stat(real)).isDirectory()) {
      throw new ShoalError('conflict', `${shown} is there and is not a folder`);
    }
    if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
    throw new ShoalError('conflict', `${shown} leads out of the folder that the files were to go to`, {
      hint: 'take the link away, or say another place with --to',
    });
  }
}

function folderError(path: string, error: unknown): ShoalError {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EEXIST' && code !== 'ENOTDIR') return writeError(`make the folder ${path}`, error);
  return new ShoalError('conflict', `${path} is there and is not a folder`, { cause: error });
}
