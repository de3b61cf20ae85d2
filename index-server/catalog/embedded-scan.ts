import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ListedFile } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { audiencesOf, compareBytes, type Facets, keyOf } from './index-keys.js';

/*
 * Walks the index entries that are under all of some facets, in order, for each audience of the reader, and merges the
 * walks. The rarest facet drives, the others are looked up. Where that leaves little, a walk is long; it then goes in
 * slices, and other requests have their turn in between.
 */

/** Where a walk stands: the sort value and the row number of an entry. */
export interface Spot {
  readonly pos: string | number;
  readonly row: number;
}

/** What is looked for. */
export interface Scan {
  readonly facets: Facets;
  readonly userId: string;
  /** Spots after this one. */
  readonly after: Spot;
  /** Sort values below this one. */
  readonly before?: string | undefined;
  readonly limit: number;
  /** What the entries cannot tell. */
  readonly accepts?: (file: ListedFile) => boolean;
}

/** A file that was found. */
export interface Found extends Spot {
  readonly file: ListedFile;
}

interface Walk {
  readonly driver: string;
  readonly others: readonly string[];
}

/** Entries that are looked at before others have their turn. */
const SLICE = 2000;
/** How far entries are counted to see which facet is the rarest; further only while none is seen to be rare. */
const COUNTED = [256, 4096];

// A blob sorts after all numbers and text.
const ENTRIES = "FROM entries e WHERE e.key = ? AND (e.pos, e.row) > (?, ?) AND e.pos < coalesce(?, x'')";
const SLICE_END = `SELECT e.pos, e.row ${ENTRIES} ORDER BY e.pos, e.row LIMIT 1 OFFSET ?`;
const COUNT = `SELECT count(*) AS n FROM (SELECT 1 ${ENTRIES} LIMIT ?)`;
const HAS_OTHER = 'EXISTS (SELECT 1 FROM entries o WHERE o.key = ? AND o.pos = slice.pos AND o.row = slice.row)';
// As one text: a row that libsql hands over one by one costs several times as much as one in JSON.
const LISTED = `json_group_array(json_array(slice.pos, slice.row,
  v.id, v.name, v.owner, v.size, json(v.tags), v.visibility, v.published_at)) AS found`;

/** What {@link LISTED} has of a file. */
type Listed = readonly [
  pos: Spot['pos'],
  row: Spot['row'],
  ...file: [string, string, string, number, ListedFile['tags'], ListedFile['visibility'], number],
];

/** The files found, at most `limit`, in order. */
export async function scanEntries(database: EmbeddedDatabase, scan: Scan): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const audience of audiencesOf(scan)) {
    const keys = scan.facets.map((facet) => keyOf(audience, facet));
    found.push(...(await walk(database, scan, plan(database, scan, keys))));
  }
  return found.sort(compareSpots).slice(0, scan.limit);
}

async function walk(database: EmbeddedDatabase, scan: Scan, { driver, others }: Walk): Promise<readonly Found[]> {
  const found: Found[] = [];
  let { after } = scan;
  // Where other facets decide, a page takes more entries than it has files.
  const first = others.length === 0 ? scan.limit : 4 * scan.limit;
  for (let size = Math.min(first, SLICE); ; size = Math.min(2 * size, SLICE)) {
    const range = [driver, after.pos, after.row, scan.before ?? null] as const;
    const wanted = scan.accepts === undefined ? scan.limit - found.length : size;
    const slice = database.get<{ found: string }>(sliceSql(others.length), ...range, size, ...others, wanted);
    found.push(...filesIn(slice?.found ?? '[]', scan));
    if (found.length >= scan.limit) return found;
    const end = database.get<Spot>(SLICE_END, ...range, size - 1);
    if (end === undefined) return found;
    after = end;
    await nextTurn();
  }
}

function sliceSql(others: number): string {
  const matches = ['1', ...Array.from({ length: others }, () => HAS_OTHER)].join(' AND ');
  const slice = `SELECT e.pos, e.row ${ENTRIES} ORDER BY e.pos, e.row LIMIT ?`;
  const matching = `SELECT slice.pos, slice.row FROM (${slice}) slice WHERE ${matches} LIMIT ?`;
  return `SELECT ${LISTED} FROM (${matching}) slice CROSS JOIN versions v ON v.row = slice.row`;
}

function filesIn(text: string, { accepts }: Scan): readonly Found[] {
  return (JSON.parse(text) as Listed[]).flatMap(([pos, row, id, name, owner, size, tags, visibility, publishedAt]) => {
    const file = { id, name, owner, size, tags, visibility, publishedAt };
    return (accepts?.(file) ?? true) ? [{ pos, row, file }] : [];
  });
}

function plan(database: EmbeddedDatabase, scan: Scan, keys: readonly string[]): Walk {
  if (keys.length === 1) return { driver: keys[0] ?? '', others: [] };
  let [driver, ...others] = keys;
  for (const limit of COUNTED) {
    const counted = keys.map((key) => ({ key, count: countEntries(database, scan, { key, limit }) }));
    const [rarest, ...rest] = counted.sort((a, b) => a.count - b.count);
    [driver, others] = [rarest?.key, rest.map(({ key }) => key)];
    if (rarest !== undefined && rarest.count < limit) break;
  }
  return { driver: driver ?? '', others };
}

function countEntries(
  database: EmbeddedDatabase,
  { after, before }: Scan,
  { key, limit }: { readonly key: string; readonly limit: number },
): number {
  return database.get<{ n: number }>(COUNT, key, after.pos, after.row, before ?? null, limit)?.n ?? 0;
}

function compareSpots(a: Spot, b: Spot): number {
  const order =
    typeof a.pos === 'number' && typeof b.pos === 'number' ? a.pos - b.pos : compareBytes(String(a.pos), String(b.pos));
  return order || a.row - b.row;
}
