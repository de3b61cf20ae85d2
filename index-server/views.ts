import type { FileDetail, FileSummary, Holder } from './api/files.js';
import type { RecordClaims } from './api/statements.js';
import type { FileRow, ListedFile } from './catalog.js';

/** A stored file as listings show it. */
export function summaryOf(row: ListedFile): FileSummary {
  return {
    id: row.id,
    name: row.name,
    owner: row.owner,
    size: row.size,
    tags: { ...row.tags },
    visibility: row.visibility,
    publishedAt: new Date(row.publishedAt).toISOString(),
  };
}

/** A stored file with all that is known of it. `readers` are user names. */
export function detailOf(
  row: FileRow,
  { readers, holders }: { readonly readers: readonly string[]; readonly holders: readonly Holder[] },
): FileDetail {
  return {
    ...summaryOf(row),
    sha256: row.sha256,
    chunkSize: row.chunkSize,
    chunks: row.chunks,
    replicas: row.replicas,
    version: row.version,
    readers: [...readers],
    holders: [...holders],
  };
}

/** What is signed of a stored file. */
export function claimsOf(row: Omit<FileRow, 'record'>, kind: RecordClaims['kind']): RecordClaims {
  return {
    kind,
    id: row.id,
    ownerId: row.ownerId,
    owner: row.owner,
    name: row.name,
    version: row.version,
    size: row.size,
    sha256: row.sha256,
    chunkSize: row.chunkSize,
    chunks: row.chunks,
    tags: { ...row.tags },
    visibility: row.visibility,
    readers: [...row.readers],
    replicas: row.replicas,
    publishedAt: new Date(row.publishedAt).toISOString(),
  };
}

/** A stored file from what was signed of it. */
export function rowOf(claims: RecordClaims, record: string): FileRow {
  const { kind: _kind, only: _only, revision: _revision, publishedAt, ...rest } = claims;
  return { ...rest, publishedAt: Date.parse(publishedAt), record };
}
