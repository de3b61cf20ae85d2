import type { FileRow } from '../catalog.js';
import type { EmbeddedDatabase, SqlValue } from './embedded-database.js';
import { audienceOf, facetsByAge, facetsByPlace, idFacet, keyOf, placeOf } from './index-keys.js';
import {
  currentOf,
  type HistoryChange,
  lastRemoval,
  type NameHistory,
  NO_HISTORY,
  tombstonesOver,
} from './name-history.js';
import type { GoneVersion } from './publishing.js';

/** A row of the table `versions`. */
export interface StoredVersion {
  readonly row: number;
  readonly id: string;
  readonly owner_id: string;
  readonly owner: string;
  readonly name: string;
  readonly version: number;
  readonly size: number;
  readonly sha256: string;
  readonly chunk_size: number;
  readonly chunks: number;
  readonly tags: string;
  readonly visibility: FileRow['visibility'];
  readonly readers: string;
  readonly replicas: number;
  readonly published_at: number;
  readonly record: string;
}

interface StoredMark {
  readonly version: number;
  readonly only: number;
  readonly removed_at: number;
  readonly record: string | null;
}

/** All that is known of a name, and the rows that it was read from. */
export interface LoadedName {
  readonly history: NameHistory;
  readonly stored: readonly StoredVersion[];
}

/** One key of the table `entries`, and the place or age under it. */
type Entry = readonly [key: string, pos: string | number];

/** In one call and without rows: most names that come are new. */
const IS_KNOWN = `SELECT EXISTS (SELECT 1 FROM versions WHERE owner_id = ?1 AND name = ?2)
  OR EXISTS (SELECT 1 FROM gone_marks WHERE owner_id = ?1 AND name = ?2) AS known`;
const INSERT_VERSION = `INSERT INTO versions (id, owner_id, owner, name, version, size, sha256, chunk_size, chunks, tags,
  visibility, readers, replicas, published_at, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING row`;
const UPDATE_VERSION = `UPDATE versions SET id = ?, owner_id = ?, owner = ?, name = ?, version = ?, size = ?, sha256 = ?,
  chunk_size = ?, chunks = ?, tags = ?, visibility = ?, readers = ?, replicas = ?, published_at = ?, record = ? WHERE row = ?`;

const GONE_PLACE = `INSERT INTO gone_places (id, owner_id, name, version, removed_at) VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT DO UPDATE SET removed_at = max(removed_at, ?5)`;

// As JSON: one call for many, and whole numbers stay whole (libsql binds floats).
const INSERT_ENTRIES = `INSERT INTO entries (key, pos, row)
  SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)`;
const DELETE_ENTRIES = `DELETE FROM entries WHERE (key, pos, row) IN
  (SELECT value ->> 0, value ->> 1, CAST(?2 AS INTEGER) FROM json_each(?1))`;

/** A version as the catalog tells it. */
export function fileOf(stored: StoredVersion): FileRow {
  const { id, owner, name, version, size, sha256, chunks, visibility, replicas, record } = stored;
  return {
    ...{ id, ownerId: stored.owner_id, owner, name, version, size, sha256, chunkSize: stored.chunk_size, chunks },
    tags: JSON.parse(stored.tags) as FileRow['tags'],
    visibility,
    readers: JSON.parse(stored.readers) as FileRow['readers'],
    ...{ replicas, publishedAt: stored.published_at, record },
  };
}

/** Reads and writes histories of names, and keeps the index entries in step with them. */
export class EmbeddedHistories {
  readonly #database: EmbeddedDatabase;

  constructor(database: EmbeddedDatabase) {
    this.#database = database;
  }

  /** All that is known of a name. */
  load(ownerId: string, name: string): LoadedName {
    const { known = 0 } = this.#database.get<{ known: number }>(IS_KNOWN, ownerId, name) ?? {};
    if (known === 0) return { history: NO_HISTORY, stored: [] };
    const sql = 'SELECT * FROM versions WHERE owner_id = ? AND name = ? ORDER BY version';
    const stored = this.#database.all<StoredVersion>(sql, ownerId, name);
    return { history: { versions: stored.map(fileOf), gone: this.#marks(ownerId, name) }, stored };
  }

  /** The current version of a name. */
  current(ownerId: string, name: string): FileRow | undefined {
    const sql = 'SELECT * FROM versions WHERE owner_id = ? AND name = ? ORDER BY version DESC LIMIT 1';
    const stored = this.#database.get<StoredVersion>(sql, ownerId, name);
    return stored && fileOf(stored);
  }

  /** Replaces the history of a name, which must be as it was loaded. Within a transaction of the caller's. */
  save({ ownerId, name }: Pick<FileRow, 'ownerId' | 'name'>, loaded: LoadedName, change: HistoryChange): void {
    const { history } = change;
    const before = new Map(loaded.stored.map((stored) => [stored.version, stored]));
    const wasCurrent = Math.max(0, ...before.keys());
    const current = currentOf(history);
    for (const row of history.versions) {
      const stored = before.get(row.version);
      before.delete(row.version);
      const old = stored === undefined ? [] : entriesOf(fileOf(stored), row.version === wasCurrent);
      this.#replaceEntries(this.#put(row, stored), old, entriesOf(row, row === current));
    }
    for (const stored of before.values()) {
      this.#replaceEntries(stored.row, entriesOf(fileOf(stored), stored.version === wasCurrent), []);
      this.#database.run('DELETE FROM versions WHERE row = ?', stored.row);
    }
    if (history.gone !== loaded.history.gone) this.#saveMarks(ownerId, name, history);
    const removedAt = lastRemoval(history);
    for (const row of change.removed) this.rememberGone(row, removedAt);
    this.#count(Number(current !== undefined) - Number(wasCurrent > 0));
  }

  /** Remembers that a version is gone. */
  rememberGone({ id, ownerId, name, version }: GoneVersion, removedAt: number): void {
    const sql =
      'INSERT INTO gone_ids (id, removed_at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET removed_at = max(removed_at, ?2)';
    this.#database.run(sql, id, removedAt);
    this.#database.run(GONE_PLACE, id, ownerId, name, version, removedAt);
  }

  /** Signed tombstones over versions with this id. */
  tombstonesOf(id: string, limit: number): readonly string[] {
    const sql = 'SELECT owner_id, name, version FROM gone_places WHERE id = ? LIMIT ?';
    const places = this.#database.all<Pick<StoredVersion, 'owner_id' | 'name' | 'version'>>(sql, id, limit);
    const found = places.flatMap(({ owner_id, name, version }) =>
      tombstonesOver(this.load(owner_id, name).history, version),
    );
    return [...new Set(found)].slice(0, limit);
  }

  #marks(ownerId: string, name: string): NameHistory['gone'] {
    const sql = 'SELECT * FROM gone_marks WHERE owner_id = ? AND name = ?';
    const marks = this.#database.all<StoredMark>(sql, ownerId, name);
    return marks.map(({ version, only, removed_at, record }) => ({
      version,
      only: only !== 0,
      removedAt: removed_at,
      record,
    }));
  }

  #put(row: FileRow, stored: StoredVersion | undefined): number {
    const values = valuesOf(row);
    if (stored === undefined) {
      return this.#database.get<{ row: number }>(INSERT_VERSION, ...values)?.row ?? 0;
    }
    if (!isSame(fileOf(stored), row)) this.#database.run(UPDATE_VERSION, ...values, stored.row);
    return stored.row;
  }

  #replaceEntries(row: number, before: readonly Entry[], after: readonly Entry[]): void {
    const nameOf = ([key, pos]: Entry): string => `${pos}\n${key}`;
    const old = new Map(before.map((entry) => [nameOf(entry), entry]));
    const added = after.filter((entry) => !old.delete(nameOf(entry)));
    for (const [key, pos] of added) this.#database.atCommit(this.#insertEntries, [key, pos, row] as const);
    if (old.size > 0) this.#database.run(DELETE_ENTRIES, JSON.stringify([...old.values()]), row);
  }

  /** Key by key: neighbours come together, and most versions have most keys in common. */
  readonly #insertEntries = (entries: readonly (readonly [...Entry, row: number])[]): void => {
    const byKey = new Map<string, (typeof entries)[number][]>();
    for (const entry of entries) {
      const ofKey = byKey.get(entry[0]);
      if (ofKey === undefined) byKey.set(entry[0], [entry]);
      else ofKey.push(entry);
    }
    const inOrder = [...byKey.keys()].sort().flatMap((key) => byKey.get(key) ?? []);
    this.#database.run(INSERT_ENTRIES, JSON.stringify(inOrder));
  };

  #saveMarks(ownerId: string, name: string, { gone }: NameHistory): void {
    this.#database.run('DELETE FROM gone_marks WHERE owner_id = ? AND name = ?', ownerId, name);
    for (const { version, only, removedAt, record } of gone) {
      const sql =
        'INSERT INTO gone_marks (owner_id, name, version, only, removed_at, record) VALUES (?, ?, ?, ?, ?, ?)';
      this.#database.run(sql, ownerId, name, version, Number(only), removedAt, record);
    }
  }

  #count(added: number): void {
    if (added !== 0) this.#database.run("UPDATE counters SET value = value + ? WHERE name = 'files'", added);
  }
}

function entriesOf(row: FileRow, isCurrent: boolean): readonly Entry[] {
  const age = -row.publishedAt;
  const byAge = [idFacet(row.id), ...(isCurrent ? facetsByAge(row) : [])].map((facet) => ({ facet, pos: age }));
  const place = placeOf(row);
  const byPlace = isCurrent ? facetsByPlace(row).map((facet) => ({ facet, pos: place })) : [];
  return audienceOf(row).flatMap((audience) =>
    [...byAge, ...byPlace].map(({ facet, pos }) => [keyOf(audience, facet), pos] as const),
  );
}

function valuesOf(row: FileRow): readonly SqlValue[] {
  const { id, ownerId, owner, name, version, size, sha256, chunkSize, chunks, visibility, replicas, publishedAt } = row;
  const contents = [id, ownerId, owner, name, version, size, sha256, chunkSize, chunks];
  return [
    ...contents,
    JSON.stringify(row.tags),
    visibility,
    JSON.stringify(row.readers),
    replicas,
    publishedAt,
    row.record,
  ];
}

function isSame(a: FileRow, b: FileRow): boolean {
  const others = valuesOf(b);
  return valuesOf(a).every((value, index) => value === others[index]);
}
