import { ShoalError } from '../../common/errors.js';
import { nameProblem, refProblem } from '../../common/names.js';

/** Where files are served. */
export const FILES_PATH = '/files/';

/**
 * The reference in a request target below `/files/`: each segment percent-decoded, the query left out. Throws `invalid`
 * when it cannot be decoded or cannot be a reference: an id, a name, or OWNER/NAME.
 */
export function refOfTarget(target: string): string {
  const ref = decodeTarget(target);
  const problem = refProblem(ref);
  if (problem !== undefined) throw new ShoalError('invalid', `the reference '${ref}' ${problem}`);
  return ref;
}

/** The name in the target of a PUT. Throws `invalid` when it cannot be decoded or is no name. */
export function nameOfTarget(target: string): string {
  const name = decodeTarget(target);
  const problem = nameProblem(name);
  if (problem !== undefined) throw new ShoalError('invalid', `the name '${name}' ${problem}`);
  return name;
}

/** The path that {@link refOfTarget} turns back into `ref`. */
export function targetOfRef(ref: string): string {
  return FILES_PATH + ref.split('/').map(encodeURIComponent).join('/');
}

function decodeTarget(target: string): string {
  const query = target.indexOf('?');
  const path = target.slice(FILES_PATH.length, query === -1 ? undefined : query);
  try {
    return path.includes('%') ? decodeURIComponent(path) : path;
  } catch (cause) {
    throw new ShoalError('invalid', `the path '${path}' is not valid percent-encoded UTF-8`, { cause });
  }
}
