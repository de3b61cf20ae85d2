import type { RecordClaims } from '../index-server/api/statements.js';
import { LIMITS } from '../index-server/api/values.js';

/*
 * Records kept beside a file. They were verified when they were taken in, so what is here only reads them.
 */

/** What a record says that was verified before. Throws a SyntaxError for what is not a compact JWS. */
export function claimsOf(record: string): RecordClaims {
  const payload = record.split('.')[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as RecordClaims;
}

/**
 * The records with `record` added: it takes the place of those of the same owner and name unless one of them is newer, so
 * that a file has one record for each name that it goes by. Of more names than the index has kept beside a file, the
 * first ones go: the index says which are to stay.
 */
export function mergeRecord(records: readonly string[], record: string): readonly string[] {
  const added = claimsOf(record);
  const rivals = records.map(claimsOf).filter((claims) => isSameName(claims, added));
  if (rivals.some((claims) => isNewer(claims, added))) return records;
  return [...records.filter((kept) => !isSameName(claimsOf(kept), added)), record].slice(-LIMITS.records);
}

/** Those of `records` that say what `others` do not: of a name that is not among them, or newer than what is. */
export function recordsBeyond(records: readonly string[], others: readonly string[]): readonly string[] {
  const known = others.map(claimsOf);
  return records.filter((record) => {
    const claims = claimsOf(record);
    return known.filter((other) => isSameName(other, claims)).every((other) => isNewer(claims, other));
  });
}

function isSameName(a: RecordClaims, b: RecordClaims): boolean {
  return a.ownerId === b.ownerId && a.name === b.name;
}

function isNewer(a: RecordClaims, b: RecordClaims): boolean {
  return a.version === b.version ? (a.revision ?? 0) > (b.revision ?? 0) : a.version > b.version;
}

/** Whether one of the records lets every account read the file. */
export function isPublic(records: readonly string[]): boolean {
  return records.map(claimsOf).some((claims) => claims.kind === 'record' && claims.visibility === 'public');
}
