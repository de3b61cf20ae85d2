import { abortError, ShoalError } from '../../common/errors.js';
import type { StoredFile } from '../stored-file.js';
import type { Fetch } from './fetch.js';

/** Chunks asked for ahead of the reader. */
const READ_AHEAD_CHUNKS = 16;

/**
 * Bytes of a file in order, each chunk as soon as it is verified; those that are next are fetched first. Throws what
 * ended the fetch when it ends before the range is read, `not_found` when a chunk is missing and nobody fetches it, and
 * what `signal` says when it fires.
 */
export async function* readThrough(
  fetch: Fetch | undefined,
  file: StoredFile,
  range: { readonly offset: number; readonly length: number },
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { chunkBytes } = file.manifest;
  const end = range.offset + range.length;
  const finished = file.isComplete ? undefined : fetch?.finished(signal);
  // Whoever waits for a chunk gets the rejection; when nobody does, reading has ended in another way.
  finished?.catch(() => undefined);
  for (let at = range.offset; at < end; ) {
    const chunk = Math.floor(at / chunkBytes);
    if (!file.have.has(chunk)) await chunkVerified(fetch, file, chunk, finished);
    if (signal.aborted) throw abortError(signal);
    const offset = at - chunk * chunkBytes;
    const length = Math.min(end - at, file.manifest.chunkLength(chunk) - offset);
    yield await file.readChunk(chunk, offset, length);
    at += length;
  }
}

async function chunkVerified(
  fetch: Fetch | undefined,
  file: StoredFile,
  chunk: number,
  finished: Promise<unknown> | undefined,
): Promise<void> {
  if (fetch === undefined || finished === undefined) {
    throw new ShoalError('not_found', `chunk ${chunk} of ${file.id} is not here`);
  }
  let stopListening: () => void = () => undefined;
  const verified = new Promise<void>((resolve) => {
    stopListening = file.onVerified((index) => {
      if (index === chunk) resolve();
    });
  });
  try {
    fetch.prioritise(chunk, Math.min(READ_AHEAD_CHUNKS, file.manifest.chunkCount - chunk));
    await Promise.race([verified, finished]);
  } finally {
    stopListening();
  }
}
