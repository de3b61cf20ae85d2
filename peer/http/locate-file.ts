import { toShoalError } from '../../common/errors.js';
import { isFileId } from '../../common/names.js';
import type { Retrieved } from '../retrieve.js';
import type { StoredFile } from '../stored-file.js';
import type { Fetch } from '../swarm/fetch.js';
import type { HttpDoorDeps } from './deps.js';

/** A file that the caller may read, as far as it is known before a byte of it is read. */
export interface FoundFile {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  /** Undefined when the file was found without the index and nobody told. */
  readonly sha256: string | undefined;
  /** Milliseconds since 1970; undefined when nobody told. */
  readonly publishedMs: number | undefined;
  /** Gets at the bytes: what is here, or a fetch, which this begins. */
  open(signal: AbortSignal): Promise<OpenedFile>;
}

/** A file whose bytes can be read; those that `fetch` has yet to bring are waited for. */
export interface OpenedFile {
  readonly file: StoredFile;
  readonly fetch: Fetch | undefined;
  /** Begins or joins a fetch of what is missing: for chunks that turn out to be damaged here. */
  readonly refetch: () => Fetch;
}

/** What {@link locateFile} works with. */
export type LocateDeps = Pick<HttpDoorDeps, 'retriever' | 'store'>;

/** Who asks for what. */
export interface LocateRequest {
  readonly ref: string;
  readonly onBehalf: string | undefined;
  /** Whether a fetch may be begun to find out. */
  readonly mayFetch: boolean;
}

/**
 * Finds out what a reference means to the caller. The index decides, at each request, who may read what. When it
 * cannot be asked, an id is looked for without it; if nothing may be fetched, among the files that are wholly here.
 */
export async function locateFile(deps: LocateDeps, request: LocateRequest, signal: AbortSignal): Promise<FoundFile> {
  const { retriever, store } = deps;
  const { ref, onBehalf } = request;
  try {
    const located = await retriever.locate(ref, { onBehalf }, signal);
    const { publishedAt, ...file } = located.file;
    const open = async (wanted: AbortSignal) => await opened(await retriever.open(located, { onBehalf }), wanted);
    return { ...file, publishedMs: Date.parse(publishedAt), open };
  } catch (thrown) {
    const { code } = toShoalError(thrown);
    const isIndexAway = code === 'unavailable' || code === 'timeout';
    const mayGoOn = isFileId(ref) && (request.mayFetch || store.get(ref)?.isComplete === true);
    if (!isIndexAway || !mayGoOn) throw thrown;
    return await foundWithoutIndex(await retriever.retrieve(ref, { onBehalf }, signal), signal);
  }
}

async function foundWithoutIndex(retrieved: Retrieved, signal: AbortSignal): Promise<FoundFile> {
  const { id, located } = retrieved;
  const here = await opened(retrieved, signal);
  return {
    id,
    name: located?.file.name ?? id,
    size: here.file.size,
    sha256: located?.file.sha256 ?? here.file.sha256,
    publishedMs: located === undefined ? undefined : Date.parse(located.file.publishedAt),
    open: async () => here,
  };
}

async function opened({ file, fetch, refetch }: Retrieved, signal: AbortSignal): Promise<OpenedFile> {
  if (file !== undefined) return { file, fetch: undefined, refetch };
  if (fetch === undefined) throw new TypeError('neither a file nor a fetch was retrieved');
  return { file: await fetch.opened(signal), fetch, refetch };
}
