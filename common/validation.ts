import type { z } from 'zod';

/*
 * Input that does not fit its schema, told so that a person knows which input is meant and what to change. Messages of
 * the schemas themselves are predicates ("must be host:port"); those that a schema leaves to zod are written here.
 */

/** One thing that is wrong. `path` is exact; `sentence` names the input, and its value where that is no secret. */
export interface InputFault {
  readonly path: string;
  readonly message: string;
  readonly sentence: string;
}

/** Where input came from. */
export type InputPlace = 'path' | 'query' | 'body';

/** What came of {@link checkInput}. */
export type CheckedInput<T> =
  | { readonly ok: true; readonly data: T }
  | { readonly ok: false; readonly error: z.ZodError; readonly faults: readonly InputFault[] };

/** Members of bodies whose values may be repeated to the caller, and so end up in logs. Nothing else is. */
const REPEATED = new Set([
  'username',
  'name',
  'ref',
  'address',
  'visibility',
  'readers',
  'addReaders',
  'removeReaders',
]);
const REPEATED_CHARACTERS = 80;
/** Faults that are told at the most. */
const FAULTS = 20;

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a JSON object',
  record: 'a JSON object',
  null: 'null',
};

const UNIT_NAMES: Readonly<Record<string, string>> = { string: 'characters', array: 'elements' };

/** Holds `value` against `schema`. */
export function checkInput<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: InputPlace,
): CheckedInput<z.output<S>> {
  const parsed = schema.safeParse(value, { error: predicateOf });
  if (parsed.success) return { ok: true, data: parsed.data };
  const faults = parsed.error.issues.slice(0, FAULTS).map(({ path, message }) => ({
    path: [place, ...path].map(String).join('.'),
    message,
    sentence: `${subjectOf(path, value, place)} ${message}`,
  }));
  return { ok: false, error: parsed.error, faults };
}

/** What is wrong, in words that can follow the name of the input; undefined leaves it to zod. */
function predicateOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return issue.origin === 'string' && Number(issue.minimum) === 1
        ? 'is empty'
        : boundOf('at least', issue.minimum, issue.origin);
    case 'too_big':
      return boundOf('at most', issue.maximum, issue.origin);
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `'${String(value)}'`).join(' or ')}`;
    case 'invalid_format':
      return issue.format === 'datetime' ? 'must be a time such as 2030-01-31T12:00:00Z' : 'is not in the right form';
    case 'invalid_key':
      return `has a key that ${issue.issues[0]?.message ?? 'is not allowed'}`;
    case 'unrecognized_keys':
      return `has members that are not known here: ${issue.keys.join(', ')}`;
    case 'invalid_union':
      return issue.input === undefined ? 'is missing' : 'has none of the forms that are allowed';
    default:
      return undefined;
  }
}

function boundOf(direction: string, bound: number | bigint, origin: string): string {
  const unit = UNIT_NAMES[origin];
  return unit === undefined ? `must be ${direction} ${bound}` : `must have ${direction} ${bound} ${unit}`;
}

/** `tag 'nokey'`, `files[2]`, `the body`. */
function subjectOf(path: readonly PropertyKey[], input: unknown, place: InputPlace): string {
  if (path.length === 0) return `the ${place}`;
  const name = path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('');
  const value = path.reduce<unknown>(
    (inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part],
    input,
  );
  const isRepeated = place !== 'body' || REPEATED.has(String(path[0]));
  const isShown = typeof value === 'string' && value !== '' && value.length <= REPEATED_CHARACTERS;
  return isRepeated && isShown ? `${name} '${value}'` : name;
}
