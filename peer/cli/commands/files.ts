import { ShoalError } from '../../../common/errors.js';
import type { FileEntry__Output } from '../../../proto/gen/shoal/control/v1/FileEntry.js';
import { formatSize } from '../format.js';
import { renderFacts, renderTable, type TableStyle } from '../table.js';

/** A file as every command's JSON shows it; the shape is a promise to scripts. */
export interface FileJson {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly size: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly visibility: string;
  readonly publishedAt: string;
}

/** A file as the daemon tells of it, in the shape for JSON: exactly these keys, tags in order. */
export function fileJson(entry: FileEntry__Output | null): FileJson {
  if (entry === null) throw new ShoalError('internal', 'the peer answered without saying which file it means');
  const { id, name, owner, size, visibility, publishedAt } = entry;
  const tags = Object.fromEntries(Object.entries(entry.tags).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { id, name, owner, size, tags, visibility, publishedAt };
}

/** Tags for people: `k=v, k2=v2`. */
function tagText(tags: Readonly<Record<string, string>>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

/** A listing for people; nothing when there are no files. */
export function fileTable(files: readonly FileJson[], style: TableStyle): string {
  if (files.length === 0) return '';
  return renderTable(
    [
      { title: 'NAME', isElastic: true },
      { title: 'SIZE', align: 'right' },
      { title: 'OWNER' },
      { title: 'VISIBILITY' },
      { title: 'PUBLISHED' },
      { title: 'TAGS', isElastic: true },
    ],
    files.map((file) => [
      file.name,
      formatSize(file.size),
      file.owner,
      file.visibility,
      file.publishedAt,
      tagText(file.tags),
    ]),
    style,
  );
}

/** One file for people, a fact a line, with `more` facts after those that every file has. */
export function fileFacts(file: FileJson, more: readonly (readonly [string, string])[] = []): string {
  return renderFacts([
    ['name', file.name],
    ['id', file.id],
    ['owner', file.owner],
    ['size', `${formatSize(file.size)} (${file.size} bytes)`],
    ['visibility', file.visibility],
    ['published', file.publishedAt],
    ['tags', tagText(file.tags) || '-'],
    ...more,
  ]);
}
