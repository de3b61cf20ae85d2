import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileRow } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { filesInRows } from './embedded-histories.js';
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
  readonly accepts?: (row: FileRow) => boolean;
}

/** A file that was found. */
export interface Found extends Spot {
  readonly file: FileRow;
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
  for (let size = Math.min(scan.limit, SLICE); ; size = Math.min(2 * size, SLICE)) {
    const range = [driver, after.pos, after.row, scan.before ?? null] as const;
    const spots = database.all<Spot>(sliceSql(others.length), ...range, size, ...others);
    // Read at once: while others have their turn, files may go.
    const wanted = scan.accepts === undefined ? spots.slice(0, scan.limit - found.length) : spots;
    found.push(...loadFiles(database, scan, wanted));
    if (found.length >= scan.limit) return found;
    const end = database.get<Spot>(SLICE_END, ...range, size - 1);
    if (end === undefined) return found;
    after = end;
    await nextTurn();
  }
}

function sliceSql(others: number): string {
  const matches = ['1', ...Array.from({ length: others }, () => HAS_OTHER)].join(' AND ');
  return `SELECT slice.pos, slice.row FROM (SELECT e.pos, e.row ${ENTRIES} ORDER BY e.pos, e.row LIMIT ?) slice WHERE ${matches}`;
}

function loadFiles(database: EmbeddedDatabase, { accepts }: Scan, spots: readonly Spot[]): readonly Found[] {
  const files = filesInRows(
    database,
    spots.map(({ row }) => row),
  );
  return spots.flatMap(({ pos, row }) => {
    const file = files.get(row);
    return file !== undefined && (accepts?.(file) ?? true) ? [{ pos, row, file }] : [];
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
