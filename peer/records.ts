import type { RecordClaims } from '../index-server/api.js';

/*
 * Records kept beside a file. They were verified when they were taken in, so what is here only reads them.
 */

/** What a record says that was verified before. Throws a SyntaxError for what is not a compact JWS. */
export function claimsOf(record: string): RecordClaims {
  const payload = record.split('.')[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as RecordClaims;
}

/**
 * The records with `record` added: it takes the place of those of the same owner and name unless one of them is of a
 * higher version, so that a file has one record for each name that it goes by.
 */
export function mergeRecord(records: readonly string[], record: string): readonly string[] {
  const added = claimsOf(record);
  const isSameName = (claims: RecordClaims) => claims.ownerId === added.ownerId && claims.name === added.name;
  const rivals = records.map(claimsOf).filter(isSameName);
  if (rivals.some((claims) => claims.version > added.version)) return records;
  return [...records.filter((kept) => !isSameName(claimsOf(kept))), record];
}

/** Whether one of the records lets every account read the file. */
export function isPublic(records: readonly string[]): boolean {
  return records.map(claimsOf).some((claims) => claims.kind === 'record' && claims.visibility === 'public');
}
