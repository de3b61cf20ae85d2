/*
 * What the command line and the daemon have agreed on for many small files in one call: those go as whole messages, in
 * batches, because a call for each would cost more than the files.
 */

/** The most that a file may have to go in a batch. */
export const SMALL_FILE_BYTES = 256 * 1024;

/** Files that are worked on at once, in one call. */
export const SMALL_FILES_AT_ONCE = 128;

/** Bytes of files in one message, or more by less than a file: a message is in memory several times on its way. */
const BATCH_BYTES = 256 * 1024;

/** `items` in batches, each ended by the item with which it has a quarter of a megabyte. */
export function* inBatches<T>(items: Iterable<T>, bytesOf: (item: T) => number): Generator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const item of items) {
    batch.push(item);
    bytes += bytesOf(item);
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
