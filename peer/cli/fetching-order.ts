import { SMALL_FILE_BYTES } from '../small-files.js';

interface Sized {
  /** In bytes. */
  readonly size: number;
}

/**
 * The files of a set, which many peers may want at once, in an order in which they have something to give each other. A small
 * file comes whole from one holder, so each peer begins with others. A large one comes in chunks, which peers that fetch
 * it at the same time exchange: all take them in the order given, among the small ones. `random` returns numbers from 0 to below 1.
 */
export function inFetchingOrder<F extends Sized>(files: readonly F[], random: () => number = Math.random): F[] {
  const large = files.filter(isLarge);
  let next = 0;
  return shuffled(files, random).map((file) => (isLarge(file) ? (large[next++] as F) : file));
}

/** Whether a file has a fetch of its own. */
export function isLarge({ size }: Sized): boolean {
  return size > SMALL_FILE_BYTES;
}

/** A copy in the order of chance (Fisher and Yates). */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [all[at], all[other]] = [all[other] as T, all[at] as T];
  }
  return all;
}
