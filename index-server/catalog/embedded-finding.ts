import type { FileRow, FindingCatalog, ListedFile, Page, PageRequest } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { EmbeddedHistories, fileOf, type StoredVersion } from './embedded-histories.js';
import { type Found, type Spot, scanEntries } from './embedded-scan.js';
import { ALL, audiencesOf, checkLimit, compareBytes, idFacet, keyOf, placeOf, placesOfName } from './index-keys.js';
import { type FileQuery, listQuery, pageOf, positionOf, searchQuery } from './queries.js';

/** Below every age. */
const NEWEST: Spot = { pos: Number.MIN_SAFE_INTEGER, row: 0 };

const OF_NAME = `SELECT v.* FROM entries e CROSS JOIN versions v ON v.row = e.row
  WHERE e.key = ? AND e.pos >= ? AND e.pos < ? ORDER BY e.pos, e.row LIMIT ?`;
const IS_KNOWN = 'EXISTS (SELECT 1 FROM versions v WHERE v.id = j.value)';

/** Lists, searches and look-ups of files in the embedded store. */
export function embeddedFinding(database: EmbeddedDatabase): FindingCatalog {
  const histories = new EmbeddedHistories(database);
  const page = async (query: FileQuery, range: { first: Spot; before?: string | undefined }, request: PageRequest) => {
    const after = spotOf(positionOf(request, query.name)) ?? range.first;
    const limit = checkLimit(request.limit);
    const found = await scanEntries(database, { ...query, after, before: range.before, limit: limit + 1 });
    return filePage(found, limit, query.name);
  };
  return {
    async current(ownerId, name) {
      return histories.current(ownerId, name);
    },
    async versionsWithId(id, reader) {
      const sql = 'SELECT v.* FROM entries e JOIN versions v ON v.row = e.row WHERE e.key = ?';
      const keys = audiencesOf(reader).map((audience) => keyOf(audience, idFacet(id)));
      const found = keys.flatMap((key) => database.all<StoredVersion>(sql, key)).map(fileOf);
      const isOwn = (row: FileRow): number => Number(row.ownerId === reader.userId);
      return found.sort((a, b) => isOwn(b) - isOwn(a) || b.publishedAt - a.publishedAt);
    },
    async visibleWithName(name, { userId }, limit) {
      const { from, to } = placesOfName(name);
      const keys = audiencesOf({ userId }).map((audience) => keyOf(audience, ALL));
      const found = keys.flatMap((key) => database.all<StoredVersion>(OF_NAME, key, from, to, checkLimit(limit)));
      const placed = found.map((stored) => ({ file: fileOf(stored), place: placeOf(fileOf(stored)) }));
      return placed
        .sort((a, b) => compareBytes(a.place, b.place))
        .slice(0, limit)
        .map(({ file }) => file);
    },
    async list(filter, reader, request) {
      const asked = listQuery(filter, reader);
      if (asked === undefined) return { rows: [], next: null };
      return page(asked.query, { first: { pos: asked.places.from, row: 0 }, before: asked.places.to }, request);
    },
    async search(text, reader, request) {
      return page(searchQuery(text, reader), { first: NEWEST }, request);
    },
    async knownIds(ids) {
      return existing(database, IS_KNOWN, ids);
    },
    async removedIds(ids) {
      const isGone = 'EXISTS (SELECT 1 FROM gone_ids g WHERE g.id = j.value)';
      return existing(database, `${isGone} AND NOT ${IS_KNOWN}`, ids);
    },
    async allVersionsWithId(id) {
      return database.all<StoredVersion>('SELECT * FROM versions WHERE id = ?', id).map(fileOf);
    },
  };
}

/** Those of the ids for which a condition on `j.value` holds. */
function existing(database: EmbeddedDatabase, condition: string, ids: readonly string[]): ReadonlySet<string> {
  const sql = `SELECT j.value AS id FROM json_each(?) j WHERE ${condition}`;
  return new Set(database.all<{ id: string }>(sql, JSON.stringify(ids)).map(({ id }) => id));
}

function filePage(found: readonly Found[], limit: number, queryName: string): Page<ListedFile> {
  return pageOf(found, { limit, queryName, rowOf: ({ file }) => file, positionOf: ({ pos, row }) => [pos, row] });
}

function spotOf(position: readonly (string | number)[] | undefined): Spot | undefined {
  if (position === undefined) return undefined;
  const [pos = '', row] = position;
  return { pos, row: Number(row) };
}
