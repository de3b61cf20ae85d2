import { join } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import type { FileEntry__Output } from '../../proto/gen/shoal/control/v1/FileEntry.js';
import type { ControlClient } from './control-client.js';
import { TargetFolder } from './target-folder.js';

/*
 * What `shoal get` is to bring when it is told of several files: `PREFIX/` is every file whose name begins so, to be laid
 * out in a folder as below the prefix; anything else is one file.
 */

const PAGE = 1000;

/** A file of a prefix. */
export interface PlacedFile {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly folder: TargetFolder;
  /** Path in the folder. */
  readonly inside: string;
}

/** Whether a reference stands for all files whose names begin with it. */
export function isPrefix(ref: string): boolean {
  return ref.endsWith('/');
}

/**
 * The files of `PREFIX/`, or of `OWNER/PREFIX/` where no name begins so, in order of name. Where several owners have
 * files of one name, the caller's own counts. Throws `not_found` when there are none, `conflict` when a name is that of
 * several others.
 */
export async function filesOf(
  client: ControlClient,
  prefix: string,
  { to, cwd }: { readonly to: string | undefined; readonly cwd: string },
): Promise<readonly PlacedFile[]> {
  let [owner, beginning] = ['', prefix];
  let found = await listAll(client, { prefix, owner });
  if (found.length === 0) {
    const slash = prefix.indexOf('/');
    [owner, beginning] = [prefix.slice(0, slash), prefix.slice(slash + 1)];
    found = await listAll(client, { prefix: beginning, owner });
  }
  if (found.length === 0) {
    throw new ShoalError('not_found', `there is no file whose name begins with '${prefix}' that you may read`, {
      hint: 'list what there is with: shoal ls',
    });
  }
  const folder = new TargetFolder(to ?? lastPart(prefix), cwd);
  return (await oneOfEachName(client, found)).map(({ id, name, size }) => ({
    ...{ id, name, size, folder },
    inside: name.slice(beginning.length),
  }));
}

/** Where a file goes, as the caller would write it. */
export function shownPath({ folder, inside }: PlacedFile): string {
  return join(folder.path, inside);
}

async function listAll(
  client: ControlClient,
  { prefix, owner }: { readonly prefix: string; readonly owner: string },
): Promise<readonly FileEntry__Output[]> {
  const all: FileEntry__Output[] = [];
  let page = '';
  do {
    const answer = await client.call('List', { prefix, owner, limit: PAGE, page });
    all.push(...answer.files);
    page = answer.nextPage;
  } while (page !== '');
  return all;
}

async function oneOfEachName(
  client: ControlClient,
  files: readonly FileEntry__Output[],
): Promise<readonly FileEntry__Output[]> {
  const byName = new Map<string, FileEntry__Output[]>();
  for (const file of files) byName.set(file.name, [...(byName.get(file.name) ?? []), file]);
  if (byName.size === files.length) return files;
  const { username } = await client.call('WhoAmI', {});
  return [...byName].map(([name, all]) => {
    const [first] = all;
    const chosen = all.length === 1 ? first : all.find(({ owner }) => owner === username);
    if (chosen !== undefined) return chosen;
    const candidates = all.map(({ owner }) => `${owner}/${name}`);
    throw new ShoalError('conflict', `'${name}' is a file of several owners: ${candidates.join(', ')}`, {
      hint: 'say whose you mean: shoal get OWNER/PREFIX/',
      details: { candidates },
    });
  });
}

function lastPart(prefix: string): string {
  const path = prefix.slice(0, -1);
  return path.slice(path.lastIndexOf('/') + 1);
}
