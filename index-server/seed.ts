import { ShoalError } from '../common/errors.js';
import { nameProblem } from '../common/names.js';
import type { Accounts, LoggedIn } from './accounts.js';
import { registerBodySchema } from './api/accounts.js';
import { LIMITS } from './api/values.js';
import type { Caller } from './auth.js';
import type { Catalog, FileRow, UserRow } from './catalog.js';
import type { HolderDirectory } from './holder-directory.js';
import type { PeerDirectory } from './peer-directory.js';

/*
 * The four flows that the original's users know, over the services that everybody uses.
 *
 * A user who logs in this way takes a *seat* at the peer whose address was given: the user's files are offered there.
 * A search returns files whose owner has a seat, whoever put them there and however; after a logout the owner has no
 * seat and nothing of theirs is returned. The files themselves stay published: `/api/v1` and the CLI still find them.
 */

/** What {@link SeedFlows} needs. */
export interface SeedDeps {
  readonly catalog: Catalog;
  readonly accounts: Accounts;
  readonly directory: PeerDirectory;
  readonly holders: HolderDirectory;
  now(): number;
}

/** Body of `/login`, and where it came from. */
export interface SeedLogin {
  readonly username: string;
  readonly password: string;
  readonly url?: string | undefined;
  readonly address: string;
}

/** A file that a caller of `/index` names. */
export interface SeedEntry {
  readonly name: string;
  readonly id?: string | undefined;
  readonly isNew: boolean;
}

/** A file that `/search` found: the owner's name and where to get it. */
export interface SeedHit {
  readonly filename: string;
  readonly peer: string;
  readonly url: string;
}

/** Files of one name that a search looks at; each is another owner's. */
const HITS_PER_NAME = 20;

/** Register, log in, index, search, log out as the original did. */
export class SeedFlows {
  readonly #deps: SeedDeps;

  constructor(deps: SeedDeps) {
    this.#deps = deps;
  }

  /**
   * Logs in, or registers a user that is not known yet. Throws `unauthenticated` for a wrong password, `invalid` when
   * a new user gives no `url`, or anybody one that is not the address of a live peer.
   */
  async login(request: SeedLogin): Promise<LoggedIn & { readonly isNew: boolean }> {
    const { accounts, catalog } = this.#deps;
    const known = await accounts.find(request.username);
    if (request.url !== undefined) await this.#checkUrl(request.url);
    if (known === undefined) return this.#register(request);
    const loggedIn = await accounts.login(request);
    if (request.url !== undefined) await catalog.setSeat({ userId: known.id, url: request.url });
    return { ...loggedIn, isNew: false };
  }

  /**
   * Ends the caller's session and gives up the seat. A peer that passes no session on may do it for a user seated
   * with it, and then every session of the user ends. Throws `not_found` for a user that is unknown or logged out.
   */
  async logout(caller: Caller, username: string): Promise<void> {
    const { accounts, catalog } = this.#deps;
    const user = await this.#loggedIn(caller, username);
    await catalog.deleteSeat(user.id);
    if (caller.session === undefined) await catalog.deleteSessionsOf(user.id);
    else await accounts.logout(caller.session);
  }

  /** Which of the user's files, published already, are now offered at the user's seat; one line of report for each. */
  async index(
    caller: Caller,
    request: { readonly username: string; readonly files: readonly SeedEntry[] },
  ): Promise<{ readonly added: readonly string[]; readonly operation: readonly string[] }> {
    const user = await this.#loggedIn(caller, request.username);
    const seat = await this.#deps.catalog.seat(user.id);
    if (seat === undefined) throw loggedOut(request.username);
    const added: string[] = [];
    const operation: string[] = [];
    for (const entry of request.files) {
      const row = await this.#ownFile(user, entry);
      if (row !== undefined && entry.isNew) added.push(entry.name);
      const news = entry.isNew ? 'is now offered' : 'was offered already';
      operation.push(
        `${entry.name}: ${row === undefined ? 'not found; no peer has published it' : `${news} at ${seat.url}`}`,
      );
    }
    return { added, operation };
  }

  /** Where to get the files of these names, and the names that nobody logged in offers. */
  async search(
    user: UserRow,
    names: readonly string[],
  ): Promise<{ readonly hits: readonly SeedHit[]; readonly missing: readonly string[] }> {
    const hits: SeedHit[] = [];
    const missing: string[] = [];
    for (const name of new Set(names)) {
      const found = await this.#offersOf(user, name);
      hits.push(...found);
      if (found.length === 0) missing.push(name);
    }
    return { hits, missing };
  }

  async #register(request: SeedLogin): Promise<LoggedIn & { readonly isNew: boolean }> {
    const { username, password, url } = request;
    const body = registerBodySchema.safeParse({ username, password });
    if (!body.success) {
      const [issue] = body.error.issues;
      throw new ShoalError('invalid', `${issue?.path.join('.')} ${issue?.message}`, { cause: body.error });
    }
    if (url === undefined) {
      throw new ShoalError('invalid', `'${username}' is a new user: url, the address of a peer, is needed`);
    }
    const loggedIn = await this.#deps.accounts.register(username, password);
    await this.#deps.catalog.setSeat({ userId: loggedIn.user.id, url });
    return { ...loggedIn, isNew: true };
  }

  async #checkUrl(url: string): Promise<void> {
    const { catalog, directory, now } = this.#deps;
    const peer = isPlain(url) ? await catalog.peerByAddress(url, now()) : undefined;
    if (peer !== undefined && !(await directory.unfit()).gone.includes(peer.name)) return;
    throw new ShoalError('invalid', `url '${url}' is not the address of a live peer`);
  }

  /** The user of this name, if the caller speaks for them: by their session, or as the peer they are seated at. */
  async #loggedIn({ user: own, session, peer }: Caller, username: string): Promise<UserRow> {
    const { accounts, catalog } = this.#deps;
    const user = await accounts.find(username);
    if (user === undefined) throw new ShoalError('not_found', `there is no user '${username}'`);
    if (session !== undefined) {
      if (own.id === user.id) return user;
      throw new ShoalError('denied', `the session belongs to '${own.name}', not to '${username}'`);
    }
    const seat = await catalog.seat(user.id);
    if (seat === undefined) throw loggedOut(username);
    const address = peer === undefined ? undefined : (await catalog.peer(peer.name))?.address;
    if (address === seat.url) return user;
    throw new ShoalError('denied', `'${username}' is logged in at another peer`);
  }

  async #ownFile(user: UserRow, { name, id }: SeedEntry): Promise<FileRow | undefined> {
    if (nameProblem(name) !== undefined) return undefined;
    const row = await this.#deps.catalog.current(user.id, name);
    return id === undefined || row?.id === id ? row : undefined;
  }

  async #offersOf(user: UserRow, name: string): Promise<readonly SeedHit[]> {
    if (nameProblem(name) !== undefined) return [];
    const { catalog, holders } = this.#deps;
    const hits: SeedHit[] = [];
    for (const row of await catalog.visibleWithName(name, { userId: user.id }, HITS_PER_NAME)) {
      const seat = await catalog.seat(row.ownerId);
      if (seat === undefined) continue;
      const found = await holders.of(row.id, LIMITS.holders);
      const complete = found.filter((holder) => holder.complete);
      const holder = complete.find(({ address }) => address === seat.url) ?? complete[0];
      if (holder !== undefined) hits.push({ filename: name, peer: row.owner, url: holder.address });
    }
    return hits;
  }
}

function isPlain(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function loggedOut(username: string): ShoalError {
  return new ShoalError('not_found', `'${username}' is not logged in`, {
    hint: 'log in first, with the url of a peer',
  });
}
