import { createHash } from 'node:crypto';
import { ObjectId } from 'mongodb';
import { ShoalError } from '../../common/errors.js';
import type { FileRow } from '../catalog.js';
import { audienceOf, facetsByAge, facetsByPlace, idFacet, keyOf, placeOf } from './index-keys.js';
import { isDuplicate } from './mongo-errors.js';
import type { MongoStore } from './mongo-store.js';
import {
  currentOf,
  type GoneMark,
  type HistoryChange,
  lastRemoval,
  type NameHistory,
  NO_HISTORY,
  tombstonesOver,
} from './name-history.js';
import type { GoneVersion } from './publishing.js';

/*
 * One document for all that is known of a name: its versions, its tombstones, and the keys of the index. A change reads
 * the document, makes the new one, and replaces it if its `revision` is still the one that was read:
 *
 *   A reads revision 1          B reads revision 1
 *   A replaces 1 by 2: done     B replaces 1 by 3: nothing matches, B reads 2 and begins again
 *
 * So of many publishers, in any number of processes, each makes a version of its own, and each moment has one current
 * version. There is no second document to keep in step, so a crash leaves either the old state or the new one. A
 * revision is never used twice: a document that was deleted and made again is not taken for the one that was read.
 *
 * Only `gone`, the ids of removed versions, is apart, because it outgrows a document. It is written first: an id that is
 * in it too early counts for nothing while a version with the id is there, and one that came too late would make peers
 * keep a file for ever.
 */

/** A version as it is stored. Tags are KEY=VALUE: a field must not have a dot in its name, a tag may. */
export type StoredFile = Omit<FileRow, 'tags'> & { readonly tags: readonly string[] };

/** All that is known of a name. */
export interface NameDocument {
  /** OWNER/NAME; an owner's id has no slash. */
  readonly _id: string;
  readonly revision: ObjectId;
  readonly current: StoredFile | null;
  readonly older: readonly StoredFile[];
  readonly gone: readonly GoneMark[];
  readonly ids: readonly string[];
  /** Copies that the version wants that wants the most. */
  readonly mostReplicas: number;
  readonly placeKeys: readonly string[];
  readonly place: string;
  readonly ageKeys: readonly string[];
  readonly age: string;
  /** When the last version went; 0 while there is one. */
  readonly removedAt: number;
}

/** A history and the document that it was read from. */
export interface LoadedName {
  readonly history: NameHistory;
  readonly revision: ObjectId | undefined;
}

/** Greater than every time, and as long in decimal. */
const TIME_LIMIT = 9_999_999_999_999;

/** The _id of a name. */
export function nameKey(ownerId: string, name: string): string {
  return `${ownerId}/${name}`;
}

/** Reads all that is known of a name. */
export async function loadName(store: MongoStore, key: string): Promise<LoadedName> {
  const document = await store.collection('names').findOne({ _id: key });
  if (document === null) return { history: NO_HISTORY, revision: undefined };
  return { history: { versions: versionsOf(document), gone: document.gone }, revision: document.revision };
}

/** Replaces what was read. False when somebody else was faster. */
export async function saveName(
  store: MongoStore,
  key: string,
  { revision, change }: { readonly revision: ObjectId | undefined; readonly change: HistoryChange },
): Promise<boolean> {
  const removedAt = lastRemoval(change.history);
  for (const row of change.removed) await rememberGone(store, row, removedAt);
  const document = documentOf(key, change.history);
  const names = store.collection('names');
  if (revision !== undefined) return (await names.replaceOne({ _id: key, revision }, document)).matchedCount === 1;
  try {
    await names.insertOne(document);
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

/** Remembers that a version is gone. */
export async function rememberGone(store: MongoStore, gone: GoneVersion, removedAt: number): Promise<void> {
  const { id, ownerId, name, version } = gone;
  const upsert = { upsert: true };
  await store.collection('gone').updateOne({ _id: id }, { $max: { removedAt } }, upsert);
  const key = nameKey(ownerId, name);
  const place = { $set: { file: id, key, version }, $max: { removedAt } };
  await store.collection('gonePlaces').updateOne({ _id: `${id}/${version}/${key}` }, place, upsert);
}

/** Signed tombstones over versions with this id. */
export async function tombstonesOf(store: MongoStore, id: string, limit: number): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const { key, version } of await store.collection('gonePlaces').find({ file: id }).limit(limit).toArray()) {
    for (const record of tombstonesOver((await loadName(store, key)).history, version)) found.add(record);
  }
  return [...found].slice(0, limit);
}

/** The versions in a document, the current one last. */
export function versionsOf({ current, older }: Pick<NameDocument, 'current' | 'older'>): readonly FileRow[] {
  return [...older, ...(current === null ? [] : [current])].map((stored) => fileOf(stored));
}

/** A version, or part of it, as the catalog tells it. */
export function fileOf<T extends Pick<StoredFile, 'tags'>>({
  tags,
  ...stored
}: T): Omit<T, 'tags'> & Pick<FileRow, 'tags'> {
  const entries = tags.map((tag) => {
    const equals = tag.indexOf('=');
    return [tag.slice(0, equals), tag.slice(equals + 1)] as const;
  });
  return { ...stored, tags: Object.fromEntries(entries) };
}

function documentOf(key: string, history: NameHistory): NameDocument {
  const current = currentOf(history);
  const older = history.versions.slice(0, -1);
  return {
    _id: key,
    revision: new ObjectId(),
    current: current === undefined ? null : storedOf(current),
    older: older.map(storedOf),
    gone: history.gone,
    ids: [...new Set(history.versions.map(({ id }) => id))],
    mostReplicas: Math.max(0, ...history.versions.map(({ replicas }) => replicas)),
    placeKeys: current === undefined ? [] : keysOf(current, facetsByPlace(current)),
    place: current === undefined ? '' : placeOf(current),
    ageKeys: [
      ...(current === undefined ? [] : keysOf(current, facetsByAge(current))),
      ...new Set(history.versions.flatMap((row) => keysOf(row, [idFacet(row.id)]))),
    ],
    age: current === undefined ? '' : ageOf(key, current),
    removedAt: current === undefined ? lastRemoval(history) : 0,
  };
}

function keysOf(row: FileRow, facets: readonly string[]): readonly string[] {
  return audienceOf(row).flatMap((audience) => facets.map((facet) => keyOf(audience, facet)));
}

/** Sorts newest first; two names published in the same millisecond have different ages all the same. */
function ageOf(key: string, { publishedAt }: FileRow): string {
  if (publishedAt > TIME_LIMIT) throw new ShoalError('invalid', `time ${publishedAt} is too far in the future`);
  const tie = createHash('sha256').update(key).digest('hex').slice(0, 16);
  return `${String(TIME_LIMIT - publishedAt).padStart(13, '0')}/${tie}`;
}

function storedOf(row: FileRow): StoredFile {
  const { id, ownerId, owner, name, version, size, sha256, chunkSize, chunks } = row;
  const { visibility, readers, replicas, publishedAt, record } = row;
  return {
    ...{ id, ownerId, owner, name, version, size, sha256, chunkSize, chunks },
    tags: Object.entries(row.tags).map(([key, value]) => `${key}=${value}`),
    ...{ visibility, readers, replicas, publishedAt, record },
  };
}
