import { toShoalError } from '../../common/errors.js';
import { isFileId, type Located } from '../../index-server/api.js';
import type { StoredFile } from '../stored-file.js';
import { unlessAborted } from './abort.js';
import type { DoorFetch, HttpDoorDeps } from './deps.js';
import type { SharedCalls } from './shared-calls.js';

/** A file that the caller may read, as far as it is known before a byte of it is read. */
export interface FoundFile {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  /** Undefined when the file was found without the index and nobody told. */
  readonly sha256: string | undefined;
  /** Milliseconds since 1970; undefined when the file was found without the index. */
  readonly publishedMs: number | undefined;
  /** Gets at the bytes: what is here, or a fetch, which this begins. */
  open(signal: AbortSignal): Promise<OpenedFile>;
}

/** A file whose bytes can be read; those that `fetch` has yet to bring are waited for. */
export interface OpenedFile {
  readonly file: StoredFile;
  readonly fetch: DoorFetch | undefined;
}

/** What {@link locateFile} works with. */
export interface LocateDeps extends Pick<HttpDoorDeps, 'index' | 'membership' | 'store' | 'swarm'> {
  readonly locates: SharedCalls<Located>;
}

/**
 * Finds out what a reference means to the caller. The index decides, at each request, who may read what. When it
 * cannot be asked, an id is looked for without it: for HEAD (`mayFetch` false) among the files that are wholly here.
 */
export async function locateFile(
  deps: LocateDeps,
  request: { readonly ref: string; readonly onBehalf: string | undefined; readonly mayFetch: boolean },
  signal: AbortSignal,
): Promise<FoundFile> {
  const { ref, onBehalf } = request;
  try {
    const key = `${onBehalf ?? ''} ${ref}`;
    const call = async () => await deps.index.locate(deps.membership.auth(onBehalf), { ref });
    return foundAtIndex(deps, await unlessAborted(deps.locates.get(key, call), signal), request);
  } catch (thrown) {
    const { code } = toShoalError(thrown);
    const isIndexAway = code === 'unavailable' || code === 'timeout';
    const isHere = deps.store.get(ref)?.isComplete === true;
    if (!isIndexAway || !isFileId(ref) || !(request.mayFetch || isHere)) throw thrown;
    return await foundWithoutIndex(deps, request, signal);
  }
}

function foundAtIndex(
  deps: LocateDeps,
  located: Located,
  request: { readonly ref: string; readonly onBehalf: string | undefined },
): FoundFile {
  const { id, name, size, sha256, holders, publishedAt } = located.file;
  const open = async (signal: AbortSignal): Promise<OpenedFile> => {
    const held = deps.store.get(id);
    if (held?.isComplete) return { file: held, fetch: undefined };
    const { ticket, record } = located;
    const { ref, onBehalf } = request;
    const fetch = deps.swarm.start({
      ...{ id, ref, ticket, holders, record, sha256 },
      ...(onBehalf !== undefined && { onBehalf }),
    });
    return { file: await fetch.opened(signal), fetch };
  };
  return { id, name, size, sha256, publishedMs: Date.parse(publishedAt), open };
}

async function foundWithoutIndex(
  deps: LocateDeps,
  request: { readonly ref: string; readonly onBehalf: string | undefined },
  signal: AbortSignal,
): Promise<FoundFile> {
  const { ref, onBehalf } = request;
  const { fetch, file } = await deps.swarm.retrieve(ref, onBehalf === undefined ? {} : { onBehalf }, signal);
  const opened = file ?? (await fetch?.opened(signal));
  if (opened === undefined) throw new TypeError('a retrieval gave neither a file nor a fetch');
  const open = async (): Promise<OpenedFile> => ({ file: opened, fetch: opened.isComplete ? undefined : fetch });
  return { id: opened.id, name: opened.id, size: opened.size, sha256: opened.sha256, publishedMs: undefined, open };
}
