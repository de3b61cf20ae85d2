import type { IncomingHttpHeaders } from 'node:http';
import { isFileId } from '../../common/names.js';
import type { PublishCondition } from '../publish.js';

/** Entity tags, and whether they are weak. */
const TAGS = /(W\/)?("[^"]*")/g;

/** The state of a representation that conditional requests are compared with. */
export interface Validators {
  /** Strong entity tag, quotes included. */
  readonly etag: string;
  /** Milliseconds since 1970; undefined when it is not known. */
  readonly lastModifiedMs: number | undefined;
}

/** What the preconditions of a request lead to. */
export type Verdict = 'proceed' | 'not_modified' | 'failed';

/**
 * Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC 9110, section
 * 13.2.2, for GET and HEAD. Dates that cannot be read are ignored, as the RFC wants.
 */
export function evaluatePreconditions(headers: IncomingHttpHeaders, current: Validators): Verdict {
  if (headers['if-match'] !== undefined) {
    if (!matches(headers['if-match'], current.etag, 'strong')) return 'failed';
  } else if (isModifiedSince(headers['if-unmodified-since'], current) === true) {
    return 'failed';
  }
  if (headers['if-none-match'] !== undefined) {
    return matches(headers['if-none-match'], current.etag, 'weak') ? 'not_modified' : 'proceed';
  }
  return isModifiedSince(headers['if-modified-since'], current) === false ? 'not_modified' : 'proceed';
}

/**
 * Evaluates the preconditions of a PUT. `currentEtag` is undefined when the name is free.
 */
export function mayWrite(headers: IncomingHttpHeaders, currentEtag: string | undefined): boolean {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch !== undefined && (currentEtag === undefined || !matches(ifMatch, currentEtag, 'strong'))) return false;
  return ifNoneMatch === undefined || currentEtag === undefined || !matches(ifNoneMatch, currentEtag, 'weak');
}

/**
 * The preconditions of a PUT as the index takes them, which checks them again when the name is taken: undefined when there
 * are none. A tag that is no file id matches nothing.
 */
export function publishCondition(headers: IncomingHttpHeaders): PublishCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    ...(ifMatch !== undefined && { ifMatch: idsIn(ifMatch, 'strong') }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: idsIn(ifNoneMatch, 'weak') }),
  };
}

function idsIn(header: string, comparison: 'strong' | 'weak'): string[] {
  if (header.trim() === '*') return ['*'];
  const tags = [...header.matchAll(TAGS)].filter(([, weak]) => weak === undefined || comparison === 'weak');
  return tags.map(([, , tag = '']) => tag.slice(1, -1)).filter(isFileId);
}

/** Whether a Range header counts: there is no If-Range, or it names what is here (RFC 9110, section 13.1.5). */
export function rangeApplies(ifRange: string | undefined, current: Validators): boolean {
  if (ifRange === undefined) return true;
  const value = ifRange.trim();
  if (value.startsWith('"')) return value === current.etag;
  if (value.startsWith('W/')) return false;
  const date = Date.parse(value);
  return current.lastModifiedMs !== undefined && date === wholeSeconds(current.lastModifiedMs);
}

function matches(header: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true;
  for (const [, weak, tag] of header.matchAll(TAGS)) {
    if (tag === etag && (weak === undefined || comparison === 'weak')) return true;
  }
  return false;
}

/** Undefined when there is nothing to compare. */
function isModifiedSince(header: string | undefined, current: Validators): boolean | undefined {
  if (header === undefined || current.lastModifiedMs === undefined) return undefined;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : wholeSeconds(current.lastModifiedMs) > date;
}

/** HTTP dates have no fractions. */
function wholeSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000;
}
