import { ShoalError } from '../../common/errors.js';
import type { ListQuery, SearchQuery } from '../../index-server/api/files.js';
import type { IndexClient } from '../../index-server/client.js';
import type { FindRequest__Output } from '../../proto/gen/shoal/control/v1/FindRequest.js';
import type { ListRequest__Output } from '../../proto/gen/shoal/control/v1/ListRequest.js';
import type { RemoveRequest__Output } from '../../proto/gen/shoal/control/v1/RemoveRequest.js';
import type { ShareRequest__Output } from '../../proto/gen/shoal/control/v1/ShareRequest.js';
import type { StatRequest__Output } from '../../proto/gen/shoal/control/v1/StatRequest.js';
import type { TagRequest__Output } from '../../proto/gen/shoal/control/v1/TagRequest.js';
import type { Membership } from '../membership.js';
import type { CallEdge } from './call.js';
import type { ControlHandlers } from './handlers.js';
import { fileEntry } from './messages.js';

/** Calls about the catalogue. The index does all of it; it checks what it is given. */
export function fileHandlers(
  edge: CallEdge,
  deps: {
    readonly index: Pick<IndexClient, 'list' | 'search' | 'stat' | 'remove' | 'patch'>;
    readonly membership: Pick<Membership, 'auth'>;
  },
): Pick<ControlHandlers, 'List' | 'Find' | 'Stat' | 'Remove' | 'Tag' | 'Share'> {
  const { index, membership } = deps;
  return {
    List: edge.unary('List', async (request: ListRequest__Output, { onBehalf, signal }) => {
      const { files, nextPage } = await index.list(membership.auth(onBehalf), listQuery(request), signal);
      return { files: files.map(fileEntry), nextPage: nextPage ?? '' };
    }),
    Find: edge.unary('Find', async (request: FindRequest__Output, { onBehalf, signal }) => {
      const { files, nextPage } = await index.search(membership.auth(onBehalf), searchQuery(request), signal);
      return { files: files.map(fileEntry), nextPage: nextPage ?? '' };
    }),
    Stat: edge.unary('Stat', async ({ ref }: StatRequest__Output, { onBehalf, signal }) => {
      const { chunkSize: chunkBytes, ...file } = await index.stat(membership.auth(onBehalf), named(ref), signal);
      const { sha256, chunks, replicas, version, readers, holders } = file;
      return { file: fileEntry(file), sha256, chunkBytes, chunks, replicas, version, readers, holders };
    }),
    Remove: edge.unary('Remove', async ({ ref }: RemoveRequest__Output, { onBehalf, signal }) =>
      index.remove(membership.auth(onBehalf), named(ref), signal),
    ),
    Tag: edge.unary('Tag', async ({ ref, set, unset }: TagRequest__Output, { onBehalf, signal }) => {
      const both = unset.find((key) => Object.hasOwn(set, key));
      if (both !== undefined) throw new ShoalError('invalid', `the tag '${both}' is both set and taken away`);
      const tags = { ...set, ...Object.fromEntries(unset.map((key) => [key, null])) };
      return { file: fileEntry(await index.patch(membership.auth(onBehalf), named(ref), { tags }, signal)) };
    }),
    Share: edge.unary('Share', async (request: ShareRequest__Output, { onBehalf, signal }) => {
      const { addReaders, removeReaders } = request;
      const visibility = visibilityOf(request.visibility);
      const patch = { addReaders, removeReaders, ...(visibility !== undefined && { visibility }) };
      const file = await index.patch(membership.auth(onBehalf), named(request.ref), patch, signal);
      return { file: fileEntry(file), readers: file.readers };
    }),
  };
}

/** A visibility as the caller wrote it; undefined when it is left open. Throws `invalid` for anything else. */
export function visibilityOf(text: string): 'public' | 'private' | undefined {
  if (text === '') return undefined;
  if (text === 'public' || text === 'private') return text;
  throw new ShoalError('invalid', `the visibility '${text}' is not public or private`);
}

/** The reference, which must not be empty. */
export function named(ref: string): string {
  if (ref !== '') return ref;
  throw new ShoalError('invalid', 'no file is named', { hint: 'name an id, a NAME or OWNER/NAME' });
}

function listQuery({ prefix, tags, owner, limit, page }: ListRequest__Output): ListQuery {
  return {
    ...(prefix !== '' && { prefix }),
    ...(tags.length > 0 && { tag: tags }),
    ...(owner !== '' && { owner }),
    ...(limit !== 0 && { limit }),
    ...(page !== '' && { page }),
  };
}

function searchQuery({ text, limit, page }: FindRequest__Output): SearchQuery {
  return { text, ...(limit !== 0 && { limit }), ...(page !== '' && { page }) };
}
