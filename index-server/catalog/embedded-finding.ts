import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileRow, FindingCatalog, ListedFile, Page, PageRequest, Reader } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { EmbeddedHistories, fileOf, type StoredVersion } from './embedded-histories.js';
import { type Found, type Spot, scanEntries } from './embedded-scan.js';
import { ALL, audiencesOf, checkLimit, idFacet, keyOf, placesOfName } from './index-keys.js';
import {
  type FileQuery,
  inOrderOfPlace,
  listQuery,
  pageOf,
  positionOf,
  readableWithId,
  searchQuery,
} from './queries.js';

/** Below every age. */
const NEWEST: Spot = { pos: Number.MIN_SAFE_INTEGER, row: 0 };

const OF_NAME = `SELECT v.* FROM entries e CROSS JOIN versions v ON v.row = e.row
  WHERE e.key = ? AND e.pos >= ? AND e.pos < ? ORDER BY e.pos, e.row LIMIT ?`;
const WITH_ID = 'SELECT * FROM versions WHERE id = ? ORDER BY replicas DESC, owner_id DESC, row DESC LIMIT ?';
const OWN_WITH_ID = 'SELECT * FROM versions WHERE id = ? AND owner_id = ? ORDER BY replicas DESC, row DESC LIMIT ?';
const SEEN_WITH_ID = `SELECT v.* FROM entries e CROSS JOIN versions v ON v.row = e.row
  WHERE e.key = ? ORDER BY e.pos, e.row LIMIT ?`;
const RECORDS_WITH_IDS = `SELECT json_group_array(json_array(j.value, json((SELECT json_group_array(slice.record) FROM
  (SELECT record FROM versions WHERE id = j.value ORDER BY replicas DESC, owner_id DESC, row DESC LIMIT ?2) slice)))) AS found
  FROM json_each(?1) j`;
const FEW = 16;
/** Ids whose records are read before others have their turn. */
const RECORDS_SLICE = 200;
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
    async versionsWithId(id, reader, limit) {
      return readableWithId(versionsFor(database, id, { reader, limit: checkLimit(limit) }), reader, limit);
    },
    async visibleWithName(name, { userId }, limit) {
      const { from, to } = placesOfName(name);
      const keys = audiencesOf({ userId }).map((audience) => keyOf(audience, ALL));
      const found = keys.flatMap((key) => database.all<StoredVersion>(OF_NAME, key, from, to, checkLimit(limit)));
      return inOrderOfPlace(found.map(fileOf), limit);
    },
    async list(filter, reader, request) {
      const asked = listQuery(filter, reader);
      if (asked === undefined) return { rows: [], next: null };
      return page(asked.query, { first: { pos: asked.places.from, row: 0 }, before: asked.places.to }, request);
    },
    async search(text, reader, request) {
      return page(searchQuery(text, reader), { first: NEWEST }, request);
    },
    async tombstonesOf(id, limit) {
      return histories.tombstonesOf(id, checkLimit(limit));
    },
    async knownIds(ids) {
      return existing(database, IS_KNOWN, ids);
    },
    async removedIds(ids) {
      const isGone = 'EXISTS (SELECT 1 FROM gone_ids g WHERE g.id = j.value)';
      return existing(database, `${isGone} AND NOT ${IS_KNOWN}`, ids);
    },
    async allVersionsWithId(id, limit) {
      return database.all<StoredVersion>(WITH_ID, id, checkLimit(limit)).map(fileOf);
    },
    async recordsWithIds(ids, limit) {
      const records = new Map<string, readonly string[]>();
      for (let start = 0; start < ids.length; start += RECORDS_SLICE) {
        const slice = JSON.stringify(ids.slice(start, start + RECORDS_SLICE));
        const text = database.get<{ found: string }>(RECORDS_WITH_IDS, slice, checkLimit(limit))?.found ?? '[]';
        for (const [id, found] of JSON.parse(text) as [string, string[]][])
          if (found.length > 0) records.set(id, found);
        await nextTurn();
      }
      return records;
    },
  };
}

/** Some versions with an id, among them the first `limit` of the reader's own and of the newest that the reader may read. */
function versionsFor(
  database: EmbeddedDatabase,
  id: string,
  { reader, limit }: { readonly reader: Reader; readonly limit: number },
): readonly FileRow[] {
  // Hardly any content has more names than that, and then one look tells all.
  const some = database.all<StoredVersion>(WITH_ID, id, FEW + 1);
  if (some.length <= FEW) return some.map(fileOf);
  const own = database.all<StoredVersion>(OWN_WITH_ID, id, reader.userId, limit);
  const keys = audiencesOf(reader).map((audience) => keyOf(audience, idFacet(id)));
  const seen = keys.flatMap((key) => database.all<StoredVersion>(SEEN_WITH_ID, key, limit + own.length));
  return [...new Map([...own, ...seen].map((stored) => [stored.row, fileOf(stored)])).values()];
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
