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

interface Entry extends Spot {
  /** 1 when the entry is under the other keys too. */
  readonly matches: number;
}

/** Entries looked at before others have their turn. */
const SLICE = 2000;
/** Entries counted to see which facet is the rarest. */
const RARE = 256;

// A blob sorts after all numbers and text.
const RANGE = "e.key = ? AND (e.pos, e.row) > (?, ?) AND e.pos < coalesce(?, x'')";
const COUNT = `SELECT count(*) AS n FROM (SELECT 1 FROM entries e WHERE ${RANGE} LIMIT ?)`;
const HAS_OTHER = 'EXISTS (SELECT 1 FROM entries o WHERE o.key = ? AND o.pos = e.pos AND o.row = e.row)';

/** The files found, at most `limit`, in order. */
export async function scanEntries(database: EmbeddedDatabase, scan: Scan): Promise<readonly Found[]> {
  const spots: Spot[] = [];
  for (const audience of audiencesOf(scan)) {
    const keys = scan.facets.map((facet) => keyOf(audience, facet));
    spots.push(...(await walk(database, scan, plan(database, scan, keys))));
  }
  const shown = spots.sort(compareSpots).slice(0, scan.limit);
  const rows = shown.map(({ row }) => row);
  const files = filesInRows(database, rows);
  // A file that went while the walk let others have their turn is left out.
  return shown.flatMap(({ pos, row }) => {
    const file = files.get(row);
    return file === undefined ? [] : [{ pos, row, file }];
  });
}

async function walk(database: EmbeddedDatabase, scan: Scan, { driver, others }: Walk): Promise<readonly Spot[]> {
  const matches = ['1', ...others.map(() => HAS_OTHER)].join(' AND ');
  const sql = `SELECT e.pos, e.row, ${matches} AS matches FROM entries e WHERE ${RANGE} ORDER BY e.pos, e.row LIMIT ?`;
  const found: Spot[] = [];
  let after = scan.after;
  for (let size = Math.min(scan.limit, SLICE); ; size = Math.min(2 * size, SLICE)) {
    const slice = database.all<Entry>(sql, ...others, driver, after.pos, after.row, scan.before ?? null, size);
    found.push(
      ...accepted(
        database,
        scan,
        slice.filter((entry) => entry.matches !== 0),
      ),
    );
    const last = slice.at(-1);
    if (last === undefined || slice.length < size || found.length >= scan.limit) return found;
    after = last;
    await nextTurn();
  }
}

function plan(database: EmbeddedDatabase, { after, before }: Scan, keys: readonly string[]): Walk {
  if (keys.length === 1) return { driver: keys[0] ?? '', others: [] };
  const count = (key: string): number =>
    database.get<{ n: number }>(COUNT, key, after.pos, after.row, before ?? null, RARE)?.n ?? 0;
  const [driver = '', ...others] = keys
    .map((key) => ({ key, count: count(key) }))
    .sort((a, b) => a.count - b.count)
    .map(({ key }) => key);
  return { driver, others };
}

function accepted(database: EmbeddedDatabase, { accepts }: Scan, entries: readonly Entry[]): readonly Entry[] {
  if (accepts === undefined) return entries;
  const rows = entries.map(({ row }) => row);
  const files = filesInRows(database, rows);
  return entries.filter(({ row }) => {
    const file = files.get(row);
    return file !== undefined && accepts(file);
  });
}

function compareSpots(a: Spot, b: Spot): number {
  const order =
    typeof a.pos === 'number' && typeof b.pos === 'number' ? a.pos - b.pos : compareBytes(String(a.pos), String(b.pos));
  return order || a.row - b.row;
}
