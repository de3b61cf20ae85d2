import { ShoalError, toShoalError } from '../../common/errors.js';
import type { DownloadManyRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyRequest.js';
import type { SmallDownload__Output } from '../../proto/gen/shoal/peer/v1/SmallDownload.js';
import { inBatches, SMALL_FILE_BYTES, SMALL_FILES_AT_ONCE } from '../small-files.js';
import type { StoredFile } from '../stored-file.js';

/** One file of an answer. */
export interface SmallAnswer {
  readonly fileId: string;
  readonly data?: Buffer;
  readonly code?: string;
}

/**
 * Answers a request for many small files: all of them, whatever is wrong with some. Throws `invalid` for a request of too
 * many.
 */
export async function sendSmallFiles(
  { files }: DownloadManyRequest__Output,
  deps: {
    /** The file, if the caller may have it. */
    readonly fileOf: (wanted: SmallDownload__Output) => Promise<StoredFile>;
    readonly send: (files: SmallAnswer[]) => Promise<void>;
  },
  signal: AbortSignal,
): Promise<void> {
  if (files.length > SMALL_FILES_AT_ONCE) {
    throw new ShoalError('invalid', `${files.length} files in one request; at most ${SMALL_FILES_AT_ONCE} are allowed`);
  }
  const answers = await Promise.all(files.map((wanted) => answerOf(wanted, deps.fileOf)));
  for (const batch of inBatches(answers, ({ data }) => data?.length ?? 0)) {
    signal.throwIfAborted();
    await deps.send(batch);
  }
}

async function answerOf(
  wanted: SmallDownload__Output,
  fileOf: (wanted: SmallDownload__Output) => Promise<StoredFile>,
): Promise<SmallAnswer> {
  const { fileId } = wanted;
  try {
    const file = await fileOf(wanted);
    if (!file.isComplete) return { fileId, code: 'not_found' };
    if (file.size > SMALL_FILE_BYTES) return { fileId, code: 'too_large' };
    const chunks = await Promise.all(Array.from(file.have, (index) => file.readChunk(index)));
    return { fileId, data: Buffer.concat(chunks) };
  } catch (error) {
    return { fileId, code: toShoalError(error).code };
  }
}
