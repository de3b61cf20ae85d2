import { isFileId } from '../common/names.js';
import type { FileDetail, FilePage, ListQuery, Located } from './api/files.js';
import { LIMITS } from './api/values.js';
import { type Caller, PEER_SUBJECT } from './auth.js';
import type { Catalog, FileRow, ListedFile, Page, PageRequest, UserRow } from './catalog.js';
import type { HolderDirectory } from './holder-directory.js';
import type { IndexMetrics } from './metrics.js';
import { noFile, resolve } from './resolve.js';
import type { Signer } from './signer.js';
import { detailOf, summaryOf } from './views.js';

/** What {@link Finding} needs. */
export interface FindingDeps {
  readonly catalog: Catalog;
  readonly holders: HolderDirectory;
  readonly signer: Signer;
  readonly metrics: IndexMetrics;
  now(): number;
}

/** The reader's side of the catalogue. Everything is filtered by what the caller may read. */
export class Finding {
  readonly #deps: FindingDeps;

  constructor(deps: FindingDeps) {
    this.#deps = deps;
  }

  /** A page of files by name. An owner that does not exist has no files. */
  async list(user: UserRow, { prefix, tag, owner, limit, page }: ListQuery): Promise<FilePage> {
    const { catalog } = this.#deps;
    const ownerId = owner === undefined ? undefined : (await catalog.userByName(owner))?.id;
    if (owner !== undefined && ownerId === undefined) return { files: [], nextPage: null };
    const filter = {
      ...(prefix !== undefined && { prefix }),
      ...(tag !== undefined && { tags: [tag].flat() }),
      ...(ownerId !== undefined && { ownerId }),
    };
    return pageOf(await catalog.list(filter, { userId: user.id }, pageRequest(limit, page)));
  }

  /** A page of files whose names have words that begin with those of `text`, newest first. */
  async search(
    user: UserRow,
    {
      text,
      limit,
      page,
    }: { readonly text: string; readonly limit?: number | undefined; readonly page?: string | undefined },
  ): Promise<FilePage> {
    return pageOf(await this.#deps.catalog.search(text, { userId: user.id }, pageRequest(limit, page)));
  }

  /** All about the file that `ref` means. */
  async stat(user: UserRow, ref: string): Promise<FileDetail> {
    return this.detail(await resolve(this.#deps.catalog, ref, user), user);
  }

  /**
   * Where to fetch the file that `ref` means, with a ticket to show there. The caller's own peer is left out. A read
   * ticket reaches its file, by id, and a publish ticket what was published with such a one: files of its user, by id,
   * that the calling peer holds itself.
   */
  async locate(
    caller: Caller,
    { ref, limit = LIMITS.holders }: { ref: string; limit?: number | undefined },
  ): Promise<Located> {
    const { signer, metrics, now } = this.#deps;
    const row = await this.#reach(caller, ref);
    const holders = await this.#deps.holders.of(row.id, limit, caller.peer?.name);
    const { sub, name } = readerOf(caller);
    const ticket = await signer.ticket({ sub, name, act: 'read', file: row.id }, now());
    metrics.locates.inc({ result: holders.length > 0 ? 'with_holders' : 'without_holders' });
    return {
      file: detailOf(row, { readers: await this.#readerNames(row, caller.user), holders }),
      record: row.record,
      ticket: ticket.token,
      ticketExpiresAt: new Date(ticket.expiresAt).toISOString(),
      ...(!holders.some(({ complete }) => complete) && { away: [...(await this.#deps.holders.away(row.id))] }),
    };
  }

  /** A stored file as `user` may see it. */
  async detail(row: FileRow, user: UserRow): Promise<FileDetail> {
    const [readers, holders] = await Promise.all([
      this.#readerNames(row, user),
      this.#deps.holders.of(row.id, LIMITS.holders),
    ]);
    return detailOf(row, { readers, holders });
  }

  async #reach(caller: Caller, ref: string): Promise<FileRow> {
    const { catalog } = this.#deps;
    const { ticket, user, peer } = caller;
    if (ticket?.act === 'read') {
      if (ref !== ticket.file) throw noFile(ref);
      // Made out to a peer, for a copy: who may read the file is no business of that, but it must be this peer.
      if (!ticket.sub.startsWith(PEER_SUBJECT)) return resolve(catalog, ref, user);
      const [row] = ticket.sub === `${PEER_SUBJECT}${peer?.name}` ? await catalog.allVersionsWithId(ref, 1) : [];
      if (row === undefined) throw noFile(ref);
      return row;
    }
    const row = await resolve(catalog, ref, user);
    if (ticket?.act === 'publish' && !(isFileId(ref) && (await this.#isPublisher(caller, row)))) throw noFile(ref);
    return row;
  }

  async #isPublisher({ user, peer }: Caller, row: FileRow): Promise<boolean> {
    if (row.ownerId !== user.id || peer === undefined) return false;
    return (await this.#deps.catalog.completeAmong(row.id, [peer.name])).length > 0;
  }

  /** Whom a file is shared with is its owner's business; others learn that they are among them. */
  async #readerNames(row: FileRow, user: UserRow): Promise<readonly string[]> {
    if (row.readers.length === 0) return [];
    if (row.ownerId !== user.id) return row.readers.includes(user.id) ? [user.name] : [];
    return (await this.#deps.catalog.usersById(row.readers)).map((reader) => reader.name).sort();
  }
}

/** Whom a new read ticket is made out to. */
function readerOf({ ticket, user }: Caller): { readonly sub: string; readonly name: string } {
  return ticket?.act === 'read' ? ticket : { sub: user.id, name: user.name };
}

function pageRequest(limit: number | undefined, token: string | undefined): PageRequest {
  return { limit: limit ?? LIMITS.pageDefault, ...(token !== undefined && { token }) };
}

function pageOf({ rows, next }: Page<ListedFile>): FilePage {
  return { files: rows.map(summaryOf), nextPage: next };
}
