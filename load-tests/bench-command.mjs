// What the commands of all benches need.

import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Path of a program, undefined when it is not installed. Debian keeps nginx in a folder that is not in everybody's PATH. */
export async function findProgram(name) {
  for (const place of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    if (place === '') continue;
    const path = join(place, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** The number in an option's text; throws when it is no whole number from 1 to `max`. */
export function wholeNumber(option, text, max) {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Error(`${option} is '${text}', not a whole number from 1 to ${max}`);
}

/** The environment without any setting of Shoal. */
export function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SHOAL_')));
}
