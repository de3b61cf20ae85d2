import { ShoalError } from '../common/errors.js';
import { isFileId } from '../common/names.js';
import { LIMITS } from './api/values.js';
import type { Catalog, FileRow, UserRow } from './catalog.js';

/*
 * What a reference means to a caller: an id; the caller's own name; OWNER/NAME; the one file of that name that the
 * caller may read. What a caller may not read does not exist.
 */

/** How many files an ambiguous reference names as candidates. */
const CANDIDATES = 20;

/** More versions than a name can keep: so many of one content are of several names. */
const OWN_MAX = LIMITS.versions + 1;

/** What {@link resolve} asks the catalog. */
export type ResolveCatalog = Pick<Catalog, 'versionsWithId' | 'current' | 'userByName' | 'visibleWithName'>;

/** The version that `ref` means to `user`. Throws `not_found`, or `conflict` with the candidates. */
export async function resolve(catalog: ResolveCatalog, ref: string, user: UserRow): Promise<FileRow> {
  const reader = { userId: user.id };
  if (isFileId(ref)) return orNoFile((await catalog.versionsWithId(ref, reader, 1))[0], ref);
  const exact = (await catalog.current(user.id, ref)) ?? (await ofNamedOwner(catalog, ref, user));
  if (exact !== undefined) return exact;
  const visible = await catalog.visibleWithName(ref, reader, CANDIDATES);
  if (visible.length > 1) throw ambiguous(ref, visible);
  return orNoFile(visible[0], ref);
}

/** What an owner changes or removes: a name with all its versions, or those of its versions that have one id. */
export interface OwnTarget {
  readonly kind: 'name' | 'versions';
  /** Never empty, all of one name; newest first. */
  readonly rows: readonly [FileRow, ...FileRow[]];
}

/** Like {@link resolve}, for a change: throws `denied` when the file can be read but belongs to somebody else. */
export async function resolveOwn(catalog: ResolveCatalog, ref: string, user: UserRow): Promise<OwnTarget> {
  const found = await resolve(catalog, ref, user);
  if (found.ownerId !== user.id) {
    throw new ShoalError('denied', `'${ref}' belongs to ${found.owner}; only its owner may change it`);
  }
  if (!isFileId(ref)) return { kind: 'name', rows: [found] };
  const versions = await catalog.versionsWithId(ref, { userId: user.id }, OWN_MAX);
  const own = versions.filter((row) => row.ownerId === user.id).sort((a, b) => b.version - a.version);
  if (new Set(own.map((row) => row.name)).size > 1) throw ambiguous(ref, own);
  const [first = found, ...rest] = own;
  return { kind: 'versions', rows: [first, ...rest] };
}

async function ofNamedOwner(catalog: ResolveCatalog, ref: string, user: UserRow): Promise<FileRow | undefined> {
  const slash = ref.indexOf('/');
  if (slash <= 0 || slash === ref.length - 1) return undefined;
  const owner = await catalog.userByName(ref.slice(0, slash));
  const row = owner === undefined ? undefined : await catalog.current(owner.id, ref.slice(slash + 1));
  return row !== undefined && canRead(row, user) ? row : undefined;
}

function canRead(row: FileRow, user: UserRow): boolean {
  return row.visibility === 'public' || row.ownerId === user.id || row.readers.includes(user.id);
}

/** Nothing that the caller may read is meant by `ref`. */
export function noFile(ref: string): ShoalError {
  return new ShoalError('not_found', `there is no file '${ref}'`, {
    hint: 'look for it with: shoal ls, shoal find TEXT',
  });
}

function orNoFile(row: FileRow | undefined, ref: string): FileRow {
  if (row === undefined) throw noFile(ref);
  return row;
}

function ambiguous(ref: string, rows: readonly FileRow[]): ShoalError {
  const candidates = [...new Set(rows.map((row) => `${row.owner}/${row.name}`))];
  return new ShoalError('conflict', `'${ref}' may mean several files: ${candidates.slice(0, 3).join(', ')}...`, {
    hint: 'name one of them as OWNER/NAME',
    details: { candidates },
  });
}
