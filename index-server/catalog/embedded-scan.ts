import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ListedFile } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { audiencesOf, compareBytes, type Facets, keyOf } from './index-keys.js';

/*
 * Walks the index entries that are under all of some facets, in order, for each audience of the reader, and merges the
 * walks. A walk goes in slices, and other requests have their turn in between. Before each, it leaps: to the next entry
 * of one facet, from there to the next of another, and so on, over all where one of them has nothing. In a slice the
 * facet drives that is the sparsest there, and the others are looked up.
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

/** Entries that are looked at in one go. */
const SLICE = 2000;
/** After so many milliseconds others have their turn; before, the turn would cost more than it gives. */
const TURN_MS = 1;
/** Leaps before a slice is looked at all the same: facets that are everywhere, but never together, give short ones. */
const LEAPS = 32;
/** Entries by which it is seen how sparse a facet is: the further they reach, the sparser. */
const SAMPLE = 64;

// A blob sorts after all numbers and text.
const ENTRIES = "FROM entries e WHERE e.key = ? AND (e.pos, e.row) > (?, ?) AND e.pos < coalesce(?, x'')";
const NTH = `SELECT e.pos, e.row ${ENTRIES} ORDER BY e.pos, e.row LIMIT 1 OFFSET ?`;
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
    found.push(...(await walk(database, scan, keys)));
  }
  return found.sort(compareSpots).slice(0, scan.limit);
}

async function walk(database: EmbeddedDatabase, scan: Scan, keys: readonly string[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  let after: Spot | undefined = scan.after;
  let beganMs = performance.now();
  for (let size = Math.min(scan.limit, SLICE); ; size = Math.min(2 * size, SLICE)) {
    after = leap(database, scan, { keys, after });
    if (after === undefined) return found;
    const [driver = '', ...others] = sparsestFirst(database, scan, { keys, after });
    const wanted = scan.accepts === undefined ? scan.limit - found.length : size;
    const range = [driver, after.pos, after.row, scan.before ?? null] as const;
    const slice = database.get<{ found: string }>(sliceSql(others.length), ...range, size, ...others, wanted);
    found.push(...filesIn(slice?.found ?? '[]', scan));
    if (found.length >= scan.limit) return found;
    after = entryAfter(database, scan, { key: driver, after, skipped: size - 1 });
    if (after === undefined) return found;
    if (performance.now() < beganMs + TURN_MS) continue;
    await nextTurn();
    beganMs = performance.now();
  }
}

/** A spot after `after` up to which no entry is under all keys; undefined when there is none behind it either. */
function leap(
  database: EmbeddedDatabase,
  scan: Scan,
  { keys, after }: { readonly keys: readonly string[]; readonly after: Spot },
): Spot | undefined {
  if (keys.length === 1) return after;
  let spot = after;
  for (let leaps = 0, met = 0; leaps < LEAPS && met < keys.length; leaps += 1) {
    const entry = entryAfter(database, scan, { key: keys[leaps % keys.length] ?? '', after: spot, skipped: 0 });
    if (entry === undefined) return undefined;
    const reached = { pos: entry.pos, row: entry.row - 1 };
    const isFurther = compareSpots(reached, spot) > 0;
    met = isFurther ? 1 : met + 1;
    if (isFurther) spot = reached;
  }
  return spot;
}

function sparsestFirst(
  database: EmbeddedDatabase,
  scan: Scan,
  { keys, after }: { readonly keys: readonly string[]; readonly after: Spot },
): readonly string[] {
  if (keys.length === 1) return keys;
  const reaches = keys.map((key) => ({ key, end: entryAfter(database, scan, { key, after, skipped: SAMPLE }) }));
  reaches.sort((a, b) => {
    if (a.end === undefined || b.end === undefined) return Number(b.end === undefined) - Number(a.end === undefined);
    return compareSpots(b.end, a.end);
  });
  return reaches.map(({ key }) => key);
}

/** The entry of a key that comes after a spot and `skipped` others. */
function entryAfter(
  database: EmbeddedDatabase,
  { before }: Scan,
  { key, after, skipped }: { readonly key: string; readonly after: Spot; readonly skipped: number },
): Spot | undefined {
  return database.get<Spot>(NTH, key, after.pos, after.row, before ?? null, skipped);
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

function compareSpots(a: Spot, b: Spot): number {
  const order =
    typeof a.pos === 'number' && typeof b.pos === 'number' ? a.pos - b.pos : compareBytes(String(a.pos), String(b.pos));
  return order || a.row - b.row;
}
