import { createHash } from 'node:crypto';
import type { Catalog, FileRow, ListedFile, PeerRow, TombstoneRow } from '../catalog.js';

/** The id of some content. */
export function idOf(content: string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** A version of a name, public and owned by ann unless told otherwise. */
export function fileRow(given: Partial<FileRow> = {}): FileRow {
  const name = given.name ?? 'model.bin';
  const version = given.version ?? 1;
  return {
    id: idOf(`${given.owner ?? 'ann'}/${name}/${version}`),
    ownerId: `id-of-${given.owner ?? 'ann'}`,
    owner: 'ann',
    name,
    version,
    size: 3_000_000_000,
    sha256: idOf('sha256'),
    chunkSize: 65_536,
    chunks: 45_777,
    tags: {},
    visibility: 'public',
    readers: [],
    replicas: 2,
    publishedAt: 1_000,
    record: `signed ${name} ${version}`,
    ...given,
  };
}

/** What a listing shows of a row. Nothing is listed as nothing. */
export function listedOf(row: FileRow | undefined): ListedFile | undefined {
  if (row === undefined) return undefined;
  const { id, name, owner, size, tags, visibility, publishedAt } = row;
  return { id, name, owner, size, tags, visibility, publishedAt };
}

/** Publishes a row as an index does, under the number that the catalog gives it. */
export async function publish(
  catalog: Catalog,
  given: Partial<FileRow> = {},
  keepVersions = 10,
): Promise<{ readonly row: FileRow; readonly released: readonly FileRow[] }> {
  const { ownerId, name, id } = fileRow(given);
  return catalog.publish({ ownerId, name, id, keepVersions }, async (version) => fileRow({ ...given, id, version }));
}

/** The tombstone of a version. */
export function tombstoneOf(row: FileRow, given: Partial<TombstoneRow> = {}): TombstoneRow {
  const { ownerId, name, version, id } = row;
  return { ownerId, name, version, id, removedAt: 5_000, record: `signed end of ${name} ${version}`, ...given };
}

/** A live peer whose lease ends at 10,000. */
export function peerRow(given: Partial<PeerRow> = {}): PeerRow {
  const name = given.name ?? 'peer-0';
  return {
    name,
    address: `${name}.example:4999`,
    version: '0.1.0',
    incarnation: 'incarnation-1',
    state: 'live',
    leaseUntil: 10_000,
    files: 3,
    bytesUsed: 5_000_000_000,
    bytesFree: 7_000_000_000_000,
    ...given,
  };
}
