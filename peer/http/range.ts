/** What a Range header asks for of a representation. `first` and `last` are byte positions, both included. */
export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly first: number; readonly last: number }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeAnswer = { kind: 'whole' };
const UNSATISFIABLE: RangeAnswer = { kind: 'unsatisfiable' };
const SINGLE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

/**
 * Reads a Range header (RFC 9110, section 14.2) for a file of `size` bytes. What is malformed, in another unit, or asks
 * for several ranges is answered with the whole file, as the RFC allows; never throws.
 */
export function parseRange(header: string | undefined, size: number): RangeAnswer {
  const match = header === undefined ? null : SINGLE_RANGE.exec(header);
  if (match === null) return WHOLE;
  const [, from = '', to = ''] = match;
  if (from === '') return suffix(to, size);
  const first = Number(from);
  const last = to === '' ? Number.POSITIVE_INFINITY : Number(to);
  if (last < first) return WHOLE;
  return first >= size ? UNSATISFIABLE : { kind: 'part', first, last: Math.min(last, size - 1) };
}

function suffix(digits: string, size: number): RangeAnswer {
  if (digits === '') return WHOLE;
  const length = Number(digits);
  if (length === 0) return UNSATISFIABLE;
  // A non-empty suffix of nothing is satisfiable, and there is no Content-Range that could say so.
  if (size === 0) return WHOLE;
  return { kind: 'part', first: Math.max(0, size - length), last: size - 1 };
}
