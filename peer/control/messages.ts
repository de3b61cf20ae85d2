import type { FileSummary, RecordClaims } from '../../index-server/api.js';
import type { FileEntry } from '../../proto/gen/shoal/control/v1/FileEntry.js';

/** A file as the command line gets it. */
export function fileEntry(file: FileSummary | RecordClaims): FileEntry {
  const { id, name, owner, size, tags, visibility, publishedAt } = file;
  return { id, name, owner, size, tags, visibility, publishedAt };
}
