import { ShoalError } from '../../common/errors.js';
import type { FileRow, ListFilter, Reader } from '../catalog.js';
import { gramsOf } from '../search-words.js';

/*
 * The keys under which files are indexed. Who may see a file is the first part of each key, so a query can only meet
 * rows that its reader may see, and no page has holes where others' files were. A file has an *audience*: `*` when it is
 * public, else the ids of its owner and readers. A reader looks under `*` and under the own id; no file is under both.
 *
 *   AUDIENCE|all          every current file          by place
 *   AUDIENCE|o:OWNER      of an owner                 by place
 *   AUDIENCE|t:KEY=VALUE  with a tag                  by place
 *   AUDIENCE|w:GRAM       with a word in its name     by age, newest first
 *   AUDIENCE|i:ID         any version with an id      by age, newest first
 */

/** Sorts before every character that a name may have. */
const SEPARATOR = '\u0001';

/** The facet of all current files. */
export const ALL = 'all';
/** The facet of files with a gram in their name. */
export const gramFacet = (gram: string): string => `w:${gram}`;
/** The facet of the versions with an id. */
export const idFacet = (id: string): string => `i:${id}`;
const ownerFacet = (ownerId: string): string => `o:${ownerId}`;
const tagFacet = (tag: string): string => `t:${tag}`;

/** One index key. */
export function keyOf(audience: string, facet: string): string {
  return `${audience}|${facet}`;
}

/** The audiences under which a reader looks. */
export function audiencesOf({ userId }: Reader): readonly string[] {
  return ['*', userId];
}

/** The audiences of a file. */
export function audienceOf(row: FileRow): readonly string[] {
  return row.visibility === 'public' ? ['*'] : [...new Set([row.ownerId, ...row.readers])];
}

/** Facets of a current version that are in order of {@link placeOf}. */
export function facetsByPlace(row: FileRow): readonly string[] {
  return [ALL, ownerFacet(row.ownerId), ...Object.entries(row.tags).map(([key, value]) => tagFacet(`${key}=${value}`))];
}

/** Facets of a current version that are in order of age, that of its id left out. */
export function facetsByAge(row: FileRow): readonly string[] {
  return [...gramsOf(row.name)].map(gramFacet);
}

/** Facets that a file must have all of. */
export type Facets = readonly [string, ...string[]];

/** What a listing asks for. */
export function facetsOfFilter({ tags = [], ownerId }: ListFilter): Facets {
  const [first = ALL, ...others] = [
    ...[...new Set(tags)].map(tagFacet),
    ...(ownerId === undefined ? [] : [ownerFacet(ownerId)]),
  ];
  return [first, ...others];
}

/** Where a file stands in listings. Byte order of places is byte order of (name, owner, ownerId). */
export function placeOf({ name, owner, ownerId }: Pick<FileRow, 'name' | 'owner' | 'ownerId'>): string {
  return [name, owner, ownerId].join(SEPARATOR);
}

/** Places from `from` up to, not including, `to`; without `to` there is no end. */
export interface PlaceRange {
  readonly from: string;
  readonly to?: string;
}

/** The places of names that begin with `prefix`, or undefined when no name can. */
export function placesOfPrefix(prefix: string): PlaceRange | undefined {
  if (/\p{Cc}/u.test(prefix) || !prefix.isWellFormed()) return undefined;
  const to = successor(prefix);
  return to === undefined ? { from: prefix } : { from: prefix, to };
}

/** The places of exactly this name. */
export function placesOfName(name: string): Required<PlaceRange> {
  return { from: name + SEPARATOR, to: name + String.fromCharCode(SEPARATOR.charCodeAt(0) + 1) };
}

/** The order of UTF-8 bytes, in which both stores keep strings. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const difference = rankOf(a.charCodeAt(index)) - rankOf(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** UTF-16 units in the order of UTF-8: surrogates stand for characters above all others. */
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Throws `invalid` unless `limit` is a whole number of at least 1. */
export function checkLimit(limit: number): number {
  if (Number.isSafeInteger(limit) && limit >= 1) return limit;
  throw new ShoalError('invalid', `limit ${limit} is not a whole number of at least 1`);
}

/** The first string after all that begin with `prefix`: its last code point raised by one. */
function successor(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are no characters and have no UTF-8.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
