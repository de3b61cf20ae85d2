import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import { ELSEWHERE, writeError } from './write-error.js';

/*
 * Where the bytes of a get go. Three kinds: standard output; something that is written to as it stands (a pipe,
 * /dev/null); and a regular file, which appears under its name whole or not at all.
 */

/** Where the bytes of a get go. */
export type Target =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'direct'; readonly path: string; readonly isPipe: boolean }
  | {
      readonly kind: 'file';
      /** Folder, as the caller wrote it; empty for the current one. */
      readonly folder: string;
      /** Name in the folder; undefined when only the found file's own name can tell. */
      readonly name: string | undefined;
    };

const STDOUT_PATHS = ['-', '/dev/stdout', '/proc/self/fd/1'];

/**
 * What `--to` means: `-` is standard output, a folder (or anything that ends with a slash) takes the file under the
 * last part of its name, and anything else is the file itself. Without it, the current folder. Throws `not_found` when
 * the folder is not there, `conflict` when something stands where the file should go that must not be replaced.
 */
export async function planTarget(to: string | undefined, cwd: string): Promise<Target> {
  if (to === undefined) return { kind: 'file', folder: '', name: undefined };
  if (to === '') throw new ShoalError('invalid', '--to is empty');
  if (STDOUT_PATHS.includes(to)) return { kind: 'stdout' };
  const found = await statOf(resolve(cwd, to));
  if (found?.isDirectory()) return { kind: 'file', folder: to, name: undefined };
  if (to.endsWith('/')) throw noFolder(to);
  if (found?.isFIFO() || found?.isCharacterDevice()) {
    return { kind: 'direct', path: resolve(cwd, to), isPipe: found.isFIFO() };
  }
  if (found !== undefined && !found.isFile()) throw inTheWay(to);
  const folder = dirname(to);
  if (!(await statOf(resolve(cwd, folder)))?.isDirectory()) throw noFolder(folder);
  return { kind: 'file', folder: to.includes('/') ? folder : '', name: basename(to) };
}

/**
 * The path of the file that a get makes, as the caller would write it, once the name is known. Throws `conflict` when
 * something other than a regular file stands there, `corrupt` when the name has no last part that a file may have.
 */
export async function finalPath(target: Target & { kind: 'file' }, foundName: string, cwd: string): Promise<string> {
  const path = join(target.folder, target.name ?? lastPart(foundName));
  const found = await statOf(resolve(cwd, path));
  if (found !== undefined && !found.isFile()) throw inTheWay(path);
  return path;
}

/** The last part of a file's name. It becomes a path here, so it is checked here, whoever sent it. */
function lastPart(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1);
  if (last !== '' && last !== '.' && last !== '..' && !last.includes('\0')) return last;
  throw new ShoalError('corrupt', `the file's name '${name}' has no last part to save it under`, {
    hint: 'say where it should go: --to PATH',
  });
}

function noFolder(folder: string): ShoalError {
  return new ShoalError('not_found', `there is no folder ${folder}`, { hint: 'make it first: mkdir -p' });
}

function inTheWay(path: string): ShoalError {
  return new ShoalError('conflict', `${path} is there and is not a regular file`, {
    hint: ELSEWHERE,
  });
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw writeError('write there', error);
  }
}
