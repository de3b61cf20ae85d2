import type { Filter, Sort } from 'mongodb';
import type { FileRow, FindingCatalog, ListedFile, PageRequest } from '../catalog.js';
import {
  ALL,
  audiencesOf,
  checkLimit,
  compareBytes,
  idFacet,
  keyOf,
  type PlaceRange,
  placesOfName,
} from './index-keys.js';
import { fileOf, type NameDocument, nameKey, type StoredFile, tombstonesOf, versionsOf } from './mongo-names.js';
import type { MongoStore } from './mongo-store.js';
import {
  type FileQuery,
  inOrderOfPlace,
  listQuery,
  pageOf,
  positionOf,
  readableWithId,
  searchQuery,
} from './queries.js';

/** The two orders: by place under `placeKeys`, by age under `ageKeys`. Both values are unique. */
type Order = 'place' | 'age';

/** Part of an order. */
interface Part {
  readonly order: Order;
  readonly after?: string;
  readonly range: PlaceRange;
  readonly limit: number;
}

interface Found {
  readonly at: string;
  readonly file: ListedFile;
}

/** Of a current version, what a listing shows. */
const LISTED = [
  'id',
  'name',
  'owner',
  'size',
  'tags',
  'visibility',
  'publishedAt',
] as const satisfies readonly (keyof ListedFile)[];
const LISTED_PROJECTION = Object.fromEntries(LISTED.map((field) => [`current.${field}`, 1]));

/** The character after the slash that ends an owner's id in the _id of a name. */
const AFTER_SLASH = '0';
/** Ids that are looked up at a time. */
const AT_ONCE = 16;
/** Documents of a batch while the store is asked for more than it can tell apart. */
const BATCH = 200;

/** Lists, searches and look-ups of files in MongoDB. */
export function mongoFinding(store: MongoStore): FindingCatalog {
  const page = async (query: FileQuery, { order, range }: Pick<Part, 'order' | 'range'>, request: PageRequest) => {
    const [after] = positionOf(request, query.name) ?? [];
    const limit = checkLimit(request.limit);
    const part = { order, range, limit: limit + 1, ...(after !== undefined && { after: String(after) }) };
    const found = await findFiles(store, query, part);
    return pageOf(found, { limit, queryName: query.name, rowOf: ({ file }) => file, positionOf: ({ at }) => [at] });
  };
  const documentsWith = (filter: Filter<NameDocument>, order: Sort, limit: number) =>
    store
      .collection('names')
      .find(filter)
      .project<Pick<NameDocument, '_id' | 'current' | 'older'>>({ current: 1, older: 1 })
      .sort(order)
      .limit(checkLimit(limit))
      .toArray();

  return {
    async current(ownerId, name) {
      const options = { projection: { current: 1 } };
      const document = await store.collection('names').findOne({ _id: nameKey(ownerId, name) }, options);
      return document?.current ? fileOf(document.current) : undefined;
    },
    async versionsWithId(id, reader, limit) {
      const audiences = audiencesOf(reader);
      const own = { ids: id, _id: { $gte: nameKey(reader.userId, ''), $lt: `${reader.userId}${AFTER_SLASH}` } };
      const found = await Promise.all([
        documentsWith(own, { _id: 1 }, limit),
        ...audiences.map((audience) => documentsWith({ ageKeys: keyOf(audience, idFacet(id)) }, { age: 1 }, 2 * limit)),
      ]);
      // What is own and public is found twice.
      const documents = new Map(found.flat().map((document) => [document._id, document]));
      const rows = [...documents.values()].flatMap(versionsOf).filter((row) => row.id === id);
      return readableWithId(rows, reader, checkLimit(limit));
    },
    async visibleWithName(name, reader, limit) {
      const { from, to } = placesOfName(name);
      const queries = audiencesOf(reader).map((audience) =>
        store
          .collection('names')
          .find({ placeKeys: keyOf(audience, ALL), place: { $gte: from, $lt: to } })
          .project<Pick<NameDocument, 'current'>>({ current: 1 })
          .sort({ place: 1 })
          .limit(checkLimit(limit))
          .toArray(),
      );
      const rows = (await Promise.all(queries))
        .flat()
        .flatMap(({ current }) => (current === null ? [] : [fileOf(current)]));
      return inOrderOfPlace(rows, limit);
    },
    async list(filter, reader, request) {
      const asked = listQuery(filter, reader);
      if (asked === undefined) return { rows: [], next: null };
      return page(asked.query, { order: 'place', range: asked.places }, request);
    },
    async search(text, reader, request) {
      return page(searchQuery(text, reader), { order: 'age', range: { from: '' } }, request);
    },
    tombstonesOf: (id, limit) => tombstonesOf(store, id, checkLimit(limit)),
    knownIds: (ids) => knownIds(store, ids),
    async removedIds(ids) {
      const gone = await store
        .collection('gone')
        .find({ _id: { $in: [...ids] } })
        .toArray();
      const known = await knownIds(
        store,
        gone.map(({ _id }) => _id),
      );
      return new Set(gone.map(({ _id }) => _id).filter((id) => !known.has(id)));
    },
    allVersionsWithId: (id, limit) => versionsWanted(store, id, checkLimit(limit)),
    async recordsWithIds(ids, limit) {
      const records = new Map<string, readonly string[]>();
      for (let start = 0; start < ids.length; start += AT_ONCE) {
        const slice = ids.slice(start, start + AT_ONCE);
        const found = await Promise.all(slice.map((id) => versionsWanted(store, id, checkLimit(limit))));
        for (const versions of found) {
          const [first] = versions;
          if (first === undefined) continue;
          records.set(
            first.id,
            versions.map(({ record }) => record),
          );
        }
      }
      return records;
    },
  };
}

/**
 * Versions with an id, those that want the most copies first. A name is in the order of the version of it that wants the
 * most, which may be of another id; so names are read until none of those left can have what belongs before the last.
 */
async function versionsWanted(store: MongoStore, id: string, limit: number): Promise<readonly FileRow[]> {
  const found: FileRow[] = [];
  const cursor = store
    .collection('names')
    .find({ ids: id })
    .project<Pick<NameDocument, 'current' | 'older' | 'mostReplicas'>>({ current: 1, older: 1, mostReplicas: 1 })
    .sort({ mostReplicas: -1, _id: 1 })
    .batchSize(Math.min(limit + 1, BATCH));
  // Leaving the loop closes the cursor.
  for await (const document of cursor) {
    if (found.filter(({ replicas }) => replicas >= document.mostReplicas).length >= limit) break;
    found.push(...versionsOf(document).filter((row) => row.id === id));
  }
  return found.sort((a, b) => b.replicas - a.replicas).slice(0, limit);
}

async function findFiles(
  store: MongoStore,
  query: Pick<FileQuery, 'facets' | 'userId' | 'accepts'>,
  part: Part,
): Promise<readonly Found[]> {
  const ofAudiences = await Promise.all(
    audiencesOf(query).map((audience) => findOfAudience(store, { ...query, audience }, part)),
  );
  return ofAudiences
    .flat()
    .sort((a, b) => compareBytes(a.at, b.at))
    .slice(0, part.limit);
}

/**
 * One audience at a time: with one key there is one range of the index, already in order. (Asked for both at once, the
 * server may have to sort all that matches.)
 */
async function findOfAudience(
  store: MongoStore,
  { facets, audience, accepts }: Pick<FileQuery, 'facets' | 'accepts'> & { readonly audience: string },
  { order, after, range, limit }: Part,
): Promise<readonly Found[]> {
  const keys = facets.map((facet) => keyOf(audience, facet));
  const between = {
    $gte: range.from,
    ...(after !== undefined && { $gt: after }),
    ...(range.to !== undefined && { $lt: range.to }),
  };
  const cursor = store
    .collection('names')
    .find({ [`${order}Keys`]: keys.length === 1 ? keys[0] : { $all: keys }, [order]: between })
    .project<{ readonly current: Pick<StoredFile, keyof ListedFile> | null } & Pick<NameDocument, Order>>({
      ...LISTED_PROJECTION,
      [order]: 1,
    })
    .sort({ [order]: 1 })
    .batchSize(Math.min(limit, BATCH));
  if (accepts === undefined) cursor.limit(limit);
  const found: Found[] = [];
  // Leaving the loop closes the cursor.
  for await (const document of cursor) {
    const file = document.current === null ? undefined : fileOf(document.current);
    if (file !== undefined && (accepts?.(file) ?? true)) found.push({ at: document[order], file });
    if (found.length >= limit) break;
  }
  return found;
}

async function knownIds(store: MongoStore, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const asked = new Set(ids);
  const known = new Set<string>();
  const documents = store.collection('names').find({ ids: { $in: [...asked] } });
  for await (const document of documents.project<Pick<NameDocument, 'ids'>>({ _id: 0, ids: 1 })) {
    for (const id of document.ids) if (asked.has(id)) known.add(id);
  }
  return known;
}
