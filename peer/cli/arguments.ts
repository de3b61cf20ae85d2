import { InvalidArgumentError } from 'commander';
import { ShoalError } from '../../common/errors.js';
import { nameProblem, refProblem } from '../../common/names.js';

/*
 * Parsers of option values, for commander: they return the value or throw what commander turns into a usage error that
 * names the option.
 */

/** A number of seconds above zero, at most a week of them (a timer cannot wait for much longer). */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds > 0 && seconds <= 604_800) return seconds;
  throw new InvalidArgumentError('It must be a number of seconds above 0, and at most 604800 (a week).');
}

/** A whole number in bounds. */
export function parseWhole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A REF. Throws `invalid`, in the words of the HTTP door, for what can be no file. */
export function parseRef(ref: string): string {
  const problem = refProblem(ref);
  if (problem === undefined) return ref;
  throw new ShoalError('invalid', `the reference '${ref}' ${problem}`);
}

/** One more REF, or PREFIX/ for all files whose names begin so, for those collected so far. */
export function collectRef(ref: string, refs: readonly string[] = []): string[] {
  const problem = ref.endsWith('/') ? nameProblem(ref.slice(0, -1)) : refProblem(ref);
  if (problem === undefined) return [...refs, ref];
  throw new ShoalError('invalid', `the reference '${ref}' ${problem}`);
}

/** One more KEY=VALUE for the tags collected so far. */
export function collectTag(text: string, tags: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [key, value] = splitTag(text);
  return { ...tags, [key]: value };
}

/** One more text for those collected so far. */
export function collectText(text: string, texts: readonly string[] = []): string[] {
  return [...texts, text];
}

/** What `shoal tag` is to do: KEY=VALUE sets, `KEY-` takes away. */
export function parseTagChanges(changes: readonly string[]): { set: Record<string, string>; unset: string[] } {
  let set: Record<string, string> = {};
  const unset: string[] = [];
  for (const change of changes) {
    if (!change.includes('=') && change.length > 1 && change.endsWith('-')) {
      unset.push(change.slice(0, -1));
    } else {
      set = collectTag(change, set);
    }
  }
  const both = unset.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new InvalidArgumentError(`tag '${both}' is both set and taken away`);
  return { set, unset };
}

function splitTag(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new InvalidArgumentError(`'${text}' is not of the form KEY=VALUE.`);
}
