import { constants, type Dirent } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ShoalError } from '../../common/errors.js';

/** A file somewhere in a folder. */
export interface FolderFile {
  /** From the folder on, with slashes. */
  readonly inside: string;
  /** Bytes, when it was looked at. */
  readonly size: number;
}

/** What is in a folder and the folders in it. */
export interface FolderContents {
  /** Regular files, and links to such, in order of name. */
  readonly files: readonly FolderFile[];
  /** What is no file, with the reason, in order of name. */
  readonly skipped: readonly { readonly inside: string; readonly why: string }[];
}

/**
 * All files in a folder. A link to a file counts as that file; a link to a folder is not followed, because it may lead
 * back. A link that leads nowhere is listed: whoever opens it will hear of it. Throws `denied` for a folder that may not
 * be read.
 */
export async function filesIn(folder: string): Promise<FolderContents> {
  const files: FolderFile[] = [];
  const skipped: { inside: string; why: string }[] = [];
  const look = async (inside: string, entry: Dirent): Promise<void> => {
    if (entry.isDirectory()) return walk(inside);
    if (!entry.isFile() && !entry.isSymbolicLink()) {
      skipped.push({ inside, why: 'not a regular file' });
      return;
    }
    const found = await stat(join(folder, inside)).catch(() => undefined);
    if (found?.isDirectory()) skipped.push({ inside, why: 'a link to a folder' });
    else if (found !== undefined && !found.isFile()) skipped.push({ inside, why: 'not a regular file' });
    else files.push({ inside, size: found?.size ?? 0 });
  };
  const walk = async (inside: string): Promise<void> => {
    const entries = await entriesOf(join(folder, inside));
    // All of one folder at once, folders one by one: bounded by the largest.
    await Promise.all(
      entries.filter((entry) => !entry.isDirectory()).map((entry) => look(join(inside, entry.name), entry)),
    );
    for (const entry of entries) if (entry.isDirectory()) await look(join(inside, entry.name), entry);
  };
  await walk('');
  return { files: files.sort(byPath), skipped: skipped.sort(byPath) };
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    await access(folder, constants.R_OK | constants.X_OK);
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw new ShoalError('denied', `cannot read the folder ${folder}: ${(error as Error).message}`, { cause: error });
  }
}

function byPath(a: { readonly inside: string }, b: { readonly inside: string }): number {
  return a.inside < b.inside ? -1 : 1;
}
