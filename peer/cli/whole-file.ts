import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import { writeError } from './write-error.js';

/*
 * Files that appear whole, in a folder where others may be already: what is there and the same is left, and what differs
 * is not replaced unless that was asked for.
 */

const NEW_FILE = 0o666;
/** Of a name; the rest of what a file system allows is for the marks of a temporary one. */
const NAME_CHARACTERS = 60;

/** What is to stand at a path. */
export interface WholeFile {
  readonly size: number;
  /** SHA-256 in lower-case hex. */
  readonly sha256: string;
}

/**
 * Whether a file has to be written: not when it is there already, with these bytes. Throws `conflict` when another is
 * there and must not be replaced, or when what is there is no regular file.
 */
export async function isMissing(
  path: string,
  file: WholeFile,
  options: { readonly overwrites: boolean; readonly shown: string },
): Promise<boolean> {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return true;
  const { overwrites, shown } = options;
  const behind = found.isSymbolicLink() ? fs.statSync(path, { throwIfNoEntry: false }) : found;
  if (behind !== undefined && !behind.isFile()) {
    throw new ShoalError('conflict', `${shown} is there and is not a regular file`);
  }
  if (behind?.size === file.size && (await sha256Of(path)) === file.sha256) return false;
  if (overwrites) return true;
  throw new ShoalError('conflict', `${shown} is there and differs`, {
    hint: 'replace such files with --overwrite, or say another place with --to',
  });
}

/**
 * Writes a small file, in the place of a file that is there; a link is replaced, not what it leads to. Blocks. Throws
 * `conflict`, `denied` or `exhausted`, naming the path as `shown`: a folder can have come there since one looked.
 */
export function writeWhole(
  path: string,
  data: Uint8Array,
  { umask, shown }: { readonly umask: number; readonly shown: string },
): void {
  const name = [...basename(path)].slice(0, NAME_CHARACTERS).join('');
  const temporary = join(dirname(path), `.${name}.shoal-${randomBytes(4).toString('hex')}`);
  try {
    fs.writeFileSync(temporary, data, { flag: 'wx', mode: NEW_FILE & ~umask });
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw writeError(`save ${shown}`, error);
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const data of fs.createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(data as Buffer);
  return hash.digest('hex');
}
