import { ShoalError } from '../common/errors.js';
import type { Account, Session } from './api/accounts.js';
import type {
  FileDetail,
  FilePage,
  ListQuery,
  Located,
  PatchBody,
  PublishBody,
  Published,
  PublishTicket,
  SearchQuery,
} from './api/files.js';
import type {
  AnnounceBody,
  Announced,
  HandedOver,
  HandOverBody,
  HeartbeatAnswer,
  HeartbeatBody,
  JoinBody,
  Joined,
  Peer,
  Place,
  PublicKey,
  ReportBody,
  Restored,
  WithdrawQuery,
} from './api/peers.js';
import type { LocatedMany, PublishedMany } from './api/statements.js';
import { type Call, errorOf, Transport } from './client-transport.js';

/*
 * How everybody else talks to the index. Each method is one request of the contract in api.ts. Failures are ShoalErrors
 * with the code that the index gave; an index that does not answer is `unavailable`, one that answers too late
 * `timeout`, and a signal that fires ends the call with its reason.
 */

/** In whose name a request is made. */
export interface Auth {
  /** A session, or a peer token. */
  readonly bearer: string;
  /** With a peer token: the session, or where that suffices a ticket, of the user that the peer acts for. */
  readonly onBehalf?: string | undefined;
}

/** An answer of one of the original's routes, passed through. */
export interface SeedAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A client of the index at `baseUrl`; connections are kept open and shared. */
export class IndexClient {
  readonly #transport: Transport;

  constructor(
    deps: { readonly fetch?: typeof fetch },
    options: { readonly baseUrl: string; readonly timeoutMs: number },
  ) {
    this.#transport = new Transport(deps, options);
  }

  join(body: JoinBody, joinSecret: string | undefined, signal?: AbortSignal): Promise<Joined> {
    const authorization = joinSecret === undefined ? undefined : `Join ${joinSecret}`;
    return this.#transport.json({
      method: 'POST',
      path: '/api/v1/peers',
      authorization,
      body,
      isIdempotent: true,
      signal,
    });
  }

  /** `not_found` means: join again. */
  heartbeat(auth: Auth, name: string, body: HeartbeatBody, signal?: AbortSignal): Promise<HeartbeatAnswer> {
    return this.#transport.json({ ...post(peerPath(name, 'heartbeat'), auth, body), signal });
  }

  /** `not_found` means: join again. */
  announce(auth: Auth, name: string, body: AnnounceBody, signal?: AbortSignal): Promise<Announced> {
    return this.#transport.json({ ...post(peerPath(name, 'holdings'), auth, body), signal });
  }

  restore(auth: Auth, name: string, records: readonly string[], signal?: AbortSignal): Promise<Restored> {
    return this.#transport.json({ ...post(peerPath(name, 'records'), auth, { records }), signal });
  }

  /** `conflict` until a heartbeat has said that the peer is draining. At most `LIMITS.handOver` files. */
  handOver(auth: Auth, name: string, body: HandOverBody, signal?: AbortSignal): Promise<HandedOver> {
    return this.#transport.json({ ...post(peerPath(name, 'hand-over'), auth, body), signal });
  }

  async place(auth: Auth, name: string, signal?: AbortSignal): Promise<Place> {
    return (await this.#transport.json<{ place: Place }>({ ...get(peerPath(name, 'place'), auth), signal })).place;
  }

  async withdraw(
    auth: Auth,
    name: string,
    { signal, ...query }: WithdrawQuery & { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const path = `/api/v1/peers/${encodeURIComponent(name)}${queryText(query)}`;
    await this.#transport.send({ method: 'DELETE', path, ...headersOf(auth), isIdempotent: true, signal });
  }

  async report(auth: Auth, body: ReportBody, signal?: AbortSignal): Promise<void> {
    await this.#transport.send({ ...post('/api/v1/reports', auth, body), signal });
  }

  async peers(auth: Auth, signal?: AbortSignal): Promise<Peer[]> {
    return (await this.#transport.json<{ peers: Peer[] }>({ ...get('/api/v1/peers', auth), signal })).peers;
  }

  async keys(auth: Auth, signal?: AbortSignal): Promise<PublicKey[]> {
    return (await this.#transport.json<{ keys: PublicKey[] }>({ ...get('/api/v1/keys', auth), signal })).keys;
  }

  publish(auth: Auth, body: PublishBody, signal?: AbortSignal): Promise<Published> {
    // With a condition the second time is not like the first, which may have made the condition false.
    const isIdempotent = body.ifMatch === undefined && body.ifNoneMatch === undefined;
    return this.#transport.json({ ...post('/api/v1/files', auth, body), isIdempotent, signal });
  }

  /** Published, or why not, for each of at most `LIMITS.publishes` files, in their order. Repeated, so none has a condition. */
  async publishMany(
    auth: Auth,
    files: readonly Omit<PublishBody, 'ifMatch' | 'ifNoneMatch'>[],
    signal?: AbortSignal,
  ): Promise<readonly (Published | ShoalError)[]> {
    const call = { ...post('/api/v1/publish/many', auth, { files }), signal };
    const { answers } = await this.#transport.json<PublishedMany>(call);
    return answers.map((answer) => ('problem' in answer ? errorOf(answer.problem) : answer));
  }

  list(auth: Auth, query: ListQuery, signal?: AbortSignal): Promise<FilePage> {
    return this.#transport.json({ ...get(`/api/v1/files${queryText(query)}`, auth), signal });
  }

  search(auth: Auth, query: SearchQuery, signal?: AbortSignal): Promise<FilePage> {
    return this.#transport.json({ ...get(`/api/v1/search${queryText(query)}`, auth), signal });
  }

  async stat(auth: Auth, ref: string, signal?: AbortSignal): Promise<FileDetail> {
    return this.#transport.json({ ...get(filePath(ref), auth), signal });
  }

  locate(auth: Auth, body: { readonly ref: string; readonly limit?: number }, signal?: AbortSignal): Promise<Located> {
    return this.#transport.json({ ...post('/api/v1/locate', auth, body), signal });
  }

  /** Located, or why not (`not_found`, `conflict`), for each of at most `LIMITS.locates` references, in their order. */
  async locateMany(
    auth: Auth,
    refs: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly (Located | ShoalError)[]> {
    const { answers } = await this.#transport.json<LocatedMany>({
      ...post('/api/v1/locate/many', auth, { refs }),
      signal,
    });
    return answers.map((answer) => ('problem' in answer ? errorOf(answer.problem) : answer));
  }

  publishTicket(auth: Auth, signal?: AbortSignal): Promise<PublishTicket> {
    return this.#transport.json({ ...post('/api/v1/tickets', auth), signal });
  }

  async patch(auth: Auth, ref: string, body: PatchBody, signal?: AbortSignal): Promise<FileDetail> {
    const path = filePath(ref);
    return this.#transport.json({ method: 'PATCH', path, ...headersOf(auth), body, isIdempotent: true, signal });
  }

  async remove(auth: Auth, ref: string, signal?: AbortSignal): Promise<{ removed: number }> {
    // Not repeated: the second answer would be `not_found`.
    return this.#transport.json({
      method: 'DELETE',
      path: filePath(ref),
      ...headersOf(auth),
      isIdempotent: false,
      signal,
    });
  }

  register(auth: Auth | undefined, body: Credentials, signal?: AbortSignal): Promise<Session> {
    return this.#transport.json({ ...post('/api/v1/accounts', auth, body), isIdempotent: false, signal });
  }

  login(auth: Auth | undefined, body: Credentials, signal?: AbortSignal): Promise<Session> {
    return this.#transport.json({ ...post('/api/v1/sessions', auth, body), isIdempotent: false, signal });
  }

  async logout(auth: Auth, signal?: AbortSignal): Promise<void> {
    const path = '/api/v1/sessions/current';
    await this.#transport.send({ method: 'DELETE', path, ...headersOf(auth), isIdempotent: false, signal });
  }

  account(auth: Auth, signal?: AbortSignal): Promise<Account> {
    return this.#transport.json({ ...get('/api/v1/account', auth), signal });
  }

  async changePassword(
    auth: Auth,
    body: { readonly currentPassword: string; readonly newPassword: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const path = '/api/v1/account/password';
    await this.#transport.send({ method: 'PUT', path, ...headersOf(auth), body, isIdempotent: false, signal });
  }

  /** The original's `/login`; whatever the index answers is the result, only its absence is an error. */
  seedLogin(auth: Auth | undefined, body: unknown, signal?: AbortSignal): Promise<SeedAnswer> {
    return this.#seed('/login', { auth, body, signal });
  }

  /** The original's `/logout`, likewise. */
  seedLogout(auth: Auth | undefined, body: unknown, signal?: AbortSignal): Promise<SeedAnswer> {
    return this.#seed('/logout', { auth, body, signal });
  }

  /** The original's `/index`, likewise. */
  seedIndex(auth: Auth | undefined, body: unknown, signal?: AbortSignal): Promise<SeedAnswer> {
    return this.#seed('/index', { auth, body, signal });
  }

  /** The original's `/search`, likewise. */
  seedSearch(auth: Auth | undefined, body: unknown, signal?: AbortSignal): Promise<SeedAnswer> {
    return this.#seed('/search', { auth, body, signal });
  }

  #seed(
    path: string,
    { auth, body, signal }: { auth: Auth | undefined; body: unknown; signal: AbortSignal | undefined },
  ): Promise<SeedAnswer> {
    return this.#transport.any({ ...post(path, auth, body), isIdempotent: false, signal });
  }
}

/** A user name and a password. */
interface Credentials {
  readonly username: string;
  readonly password: string;
}

function headersOf(auth: Auth | undefined): Pick<Call, 'authorization' | 'onBehalf'> {
  return auth === undefined ? {} : { authorization: `Bearer ${auth.bearer}`, onBehalf: auth.onBehalf };
}

function get(path: string, auth: Auth): Call {
  return { method: 'GET', path, ...headersOf(auth), isIdempotent: true };
}

function post(path: string, auth: Auth | undefined, body?: unknown): Call {
  return { method: 'POST', path, ...headersOf(auth), body, isIdempotent: true };
}

function filePath(ref: string): string {
  return `/api/v1/files/${encodeSegment(ref)}`;
}

function peerPath(name: string, what: string): string {
  return `/api/v1/peers/${encodeURIComponent(name)}/${what}`;
}

/** One path segment. Dots alone would be taken for a walk through folders by every URL parser, encoded or not. */
function encodeSegment(ref: string): string {
  if (!ref.isWellFormed()) throw new ShoalError('invalid', 'the reference is not well-formed Unicode');
  if (ref === '' || ref === '.' || ref === '..')
    throw new ShoalError('invalid', `'${ref}' is not a reference to a file`);
  return encodeURIComponent(ref);
}

function queryText(query: Readonly<Record<string, string | number | readonly string[] | undefined>>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of value === undefined ? [] : [value].flat()) params.append(name, String(item));
  }
  return params.size === 0 ? '' : `?${params}`;
}
