import { toShoalError } from '../../common/errors.js';
import type { FileDetail } from '../../index-server/api/files.js';
import type { Auth, IndexClient } from '../../index-server/client.js';

/** What the index knows of a reference; undefined when it is free. */
export async function statOf(
  index: Pick<IndexClient, 'stat'>,
  auth: Auth,
  ref: string,
  signal: AbortSignal,
): Promise<FileDetail | undefined> {
  try {
    return await index.stat(auth, ref, signal);
  } catch (error) {
    if (toShoalError(error).code === 'not_found') return undefined;
    throw error;
  }
}
