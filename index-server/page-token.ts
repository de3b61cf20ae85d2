import { createHash } from 'node:crypto';
import { ShoalError } from '../common/errors.js';

/*
 * Page tokens: where a page ended, in a form that says nothing to people and that the same query takes back. A token
 * names the last row shown, not a count of rows, so rows that come and go move nothing. It grants nothing either: what
 * a reader may see is decided anew by every query. Hence a checksum, against damage and mix-ups, and no signature.
 *
 * Form: base64url of checksum (4 bytes), fingerprint of the query (4 bytes), position (JSON).
 */

/** Where a page ended: the sort values of its last row. */
export type Position = readonly (string | number)[];

const CHECK_BYTES = 4;
const HEAD_BYTES = 2 * CHECK_BYTES;

/** The token of a position in a query. `query` is anything that tells this query from others; never parsed. */
export function encodePageToken(query: string, position: Position): string {
  const body = Buffer.concat([digest(query), Buffer.from(JSON.stringify(position))]);
  return Buffer.concat([digest(body), body]).toString('base64url');
}

/** The position that {@link encodePageToken} was given. Throws `invalid` for anything else than its answer for `query`. */
export function decodePageToken(query: string, token: string): Position {
  const bytes = Buffer.from(token, 'base64url');
  const body = bytes.subarray(CHECK_BYTES);
  // The second form of the same bytes (padding, other alphabet) was not made here either.
  const isOurs =
    bytes.length > HEAD_BYTES &&
    digest(body).equals(bytes.subarray(0, CHECK_BYTES)) &&
    bytes.toString('base64url') === token;
  if (!isOurs) throw invalid('was not given by this index');
  if (!digest(query).equals(bytes.subarray(CHECK_BYTES, HEAD_BYTES))) throw invalid('belongs to another query');
  return JSON.parse(bytes.subarray(HEAD_BYTES).toString()) as Position;
}

function digest(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest().subarray(0, CHECK_BYTES);
}

function invalid(problem: string): ShoalError {
  return new ShoalError('invalid', `the page token ${problem}`, { hint: 'ask for the first page, without a token' });
}
