import type { FileSummary } from '../../index-server/api/files.js';
import type { RecordClaims } from '../../index-server/api/statements.js';
import type { FileEntry } from '../../proto/gen/shoal/control/v1/FileEntry.js';
import { claimsOf } from '../records.js';
import type { StoredFile } from '../stored-file.js';

/** A file as the command line gets it. */
export function fileEntry(file: FileSummary | RecordClaims): FileEntry {
  const { id, name, owner, size, tags, visibility, publishedAt } = file;
  return { id, name, owner, size, tags, visibility, publishedAt };
}

/** What is known here of a file that could not be looked up. */
export function entryOf(file: StoredFile): FileEntry {
  const [record] = file.records;
  return record === undefined ? { id: file.id, size: file.size } : fileEntry(claimsOf(record));
}
