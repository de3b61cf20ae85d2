import { ShoalError } from '../../common/errors.js';
import { LIMITS } from '../api/values.js';
import type { FileRow, ListedFile, ListFilter, PageRequest, Reader } from '../catalog.js';
import { decodePageToken, encodePageToken, type Position } from '../page-token.js';
import { gramOf, hasWords, isCut, wordsOf } from '../search-words.js';
import {
  audienceOf,
  audiencesOf,
  compareBytes,
  type Facets,
  facetsOfFilter,
  gramFacet,
  type PlaceRange,
  placeOf,
  placesOfPrefix,
} from './index-keys.js';

/** What a store looks up for a listing or a search. */
export interface FileQuery {
  /** Tells this query from others; goes into page tokens. */
  readonly name: string;
  /** What files must be under, all of it. */
  readonly facets: Facets;
  readonly userId: string;
  /** What the facets cannot tell. */
  readonly accepts?: (file: ListedFile) => boolean;
}

/** Words of a text that are looked up; the others are compared with what is found. */
const LOOKUPS_MAX = 8;

/** A listing: its query and where in the order of places to look, or undefined when no name can match. */
export function listQuery(
  filter: ListFilter,
  { userId }: Reader,
): { query: FileQuery; places: PlaceRange } | undefined {
  const { prefix = '', tags = [], ownerId = null } = filter;
  const places = placesOfPrefix(prefix);
  if (places === undefined || new Set(tags).size > LIMITS.tags) return undefined;
  const name = JSON.stringify(['list', prefix, [...tags].sort(), ownerId]);
  return { query: { name, facets: facetsOfFilter(filter), userId }, places };
}

/** A search. Throws `invalid` when there is no word in the text. */
export function searchQuery(text: string, { userId }: Reader): FileQuery {
  const words = longestFirst(wordsOf(text));
  const [first, ...others] = new Set(words.slice(0, LOOKUPS_MAX).map((word) => gramFacet(gramOf(word))));
  if (first === undefined) {
    throw new ShoalError('invalid', `there is no word in '${text}' to search for`, {
      hint: 'a word is made of letters and digits',
    });
  }
  const name = JSON.stringify(['search', ...[...words].sort()]);
  const query = { name, facets: [first, ...others] as const, userId };
  const isAllSaid = words.length <= LOOKUPS_MAX && !words.some(isCut);
  return isAllSaid ? query : { ...query, accepts: ({ name: fileName }) => hasWords(fileName, words) };
}

/** Of versions with one id, those that the reader may read: the reader's own first, then the newest. */
export function readableWithId(rows: readonly FileRow[], reader: Reader, limit: number): readonly FileRow[] {
  const audiences = audiencesOf(reader);
  const isOwn = (row: FileRow): number => Number(row.ownerId === reader.userId);
  return rows
    .filter((row) => audienceOf(row).some((audience) => audiences.includes(audience)))
    .sort((a, b) => isOwn(b) - isOwn(a) || b.publishedAt - a.publishedAt)
    .slice(0, limit);
}

/** In the order of listings. */
export function inOrderOfPlace(rows: readonly FileRow[], limit: number): readonly FileRow[] {
  return rows
    .map((row) => ({ row, place: placeOf(row) }))
    .sort((a, b) => compareBytes(a.place, b.place))
    .slice(0, limit)
    .map(({ row }) => row);
}

/** The position that a page begins after, if it is not the first. */
export function positionOf({ token }: PageRequest, queryName: string): Position | undefined {
  return token === undefined ? undefined : decodePageToken(queryName, token);
}

/** A page out of up to `limit` + 1 rows found. */
export function pageOf<T, R>(
  found: readonly T[],
  options: { readonly limit: number; readonly queryName: string; rowOf(item: T): R; positionOf(item: T): Position },
): { readonly rows: readonly R[]; readonly next: string | null } {
  const shown = found.slice(0, options.limit);
  const last = shown.at(-1);
  const hasMore = found.length > shown.length && last !== undefined;
  return {
    rows: shown.map((item) => options.rowOf(item)),
    next: hasMore ? encodePageToken(options.queryName, options.positionOf(last)) : null,
  };
}

/** Without words that others begin with: whatever has the longer one has them too. */
function longestFirst(words: readonly string[]): readonly string[] {
  return words
    .filter((word) => !words.some((other) => other !== word && other.startsWith(word)))
    .sort((a, b) => b.length - a.length);
}
