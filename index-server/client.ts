import pRetry from 'p-retry';
import { abortError, ERROR_CODES, type ErrorCode, ShoalError } from '../common/errors.js';
import {
  type Account,
  type AnnounceBody,
  type Announced,
  type FileDetail,
  type FilePage,
  type HeartbeatAnswer,
  type HeartbeatBody,
  type JoinBody,
  type Joined,
  type ListQuery,
  type Located,
  ON_BEHALF_HEADER,
  type PatchBody,
  type Peer,
  type Problem,
  type PublicKey,
  type PublishBody,
  type Published,
  type PublishTicket,
  type ReportBody,
  type Restored,
  type SearchQuery,
  type Session,
} from './api.js';

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

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly authorization?: string | undefined;
  readonly onBehalf?: string | undefined;
  readonly body?: unknown;
  /** Making the request twice is the same as making it once, so it is repeated when the connection fails. */
  readonly isIdempotent: boolean;
  readonly signal?: AbortSignal | undefined;
}

const RETRIES = 2;
const FIRST_RETRY_MS = 50;

/** A client of the index at `baseUrl`; connections are kept open and shared. */
export class IndexClient {
  readonly #fetch: typeof fetch;
  readonly #baseUrl: string;
  readonly #timeoutMs: number;

  constructor(
    deps: { readonly fetch?: typeof fetch },
    options: { readonly baseUrl: string; readonly timeoutMs: number },
  ) {
    this.#fetch = deps.fetch ?? fetch;
    this.#baseUrl = options.baseUrl.replace(/\/+$/, '');
    this.#timeoutMs = options.timeoutMs;
  }

  join(body: JoinBody, joinSecret: string | undefined, signal?: AbortSignal): Promise<Joined> {
    const authorization = joinSecret === undefined ? undefined : `Join ${joinSecret}`;
    return this.#json({ method: 'POST', path: '/api/v1/peers', authorization, body, isIdempotent: true, signal });
  }

  /** `not_found` means: join again. */
  heartbeat(auth: Auth, name: string, body: HeartbeatBody, signal?: AbortSignal): Promise<HeartbeatAnswer> {
    return this.#json({ ...post(peerPath(name, 'heartbeat'), auth, body), signal });
  }

  /** `not_found` means: join again. */
  announce(auth: Auth, name: string, body: AnnounceBody, signal?: AbortSignal): Promise<Announced> {
    return this.#json({ ...post(peerPath(name, 'holdings'), auth, body), signal });
  }

  restore(auth: Auth, name: string, records: readonly string[], signal?: AbortSignal): Promise<Restored> {
    return this.#json({ ...post(peerPath(name, 'records'), auth, { records }), signal });
  }

  async withdraw(auth: Auth, name: string, signal?: AbortSignal): Promise<void> {
    const path = `/api/v1/peers/${encodeURIComponent(name)}`;
    await this.#send({ method: 'DELETE', path, ...headersOf(auth), isIdempotent: true, signal });
  }

  async report(auth: Auth, body: ReportBody, signal?: AbortSignal): Promise<void> {
    await this.#send({ ...post('/api/v1/reports', auth, body), signal });
  }

  async peers(auth: Auth, signal?: AbortSignal): Promise<Peer[]> {
    return (await this.#json<{ peers: Peer[] }>({ ...get('/api/v1/peers', auth), signal })).peers;
  }

  async keys(auth: Auth, signal?: AbortSignal): Promise<PublicKey[]> {
    return (await this.#json<{ keys: PublicKey[] }>({ ...get('/api/v1/keys', auth), signal })).keys;
  }

  publish(auth: Auth, body: PublishBody, signal?: AbortSignal): Promise<Published> {
    return this.#json({ ...post('/api/v1/files', auth, body), signal });
  }

  list(auth: Auth, query: ListQuery, signal?: AbortSignal): Promise<FilePage> {
    return this.#json({ ...get(`/api/v1/files${queryText(query)}`, auth), signal });
  }

  search(auth: Auth, query: SearchQuery, signal?: AbortSignal): Promise<FilePage> {
    return this.#json({ ...get(`/api/v1/search${queryText(query)}`, auth), signal });
  }

  stat(auth: Auth, ref: string, signal?: AbortSignal): Promise<FileDetail> {
    return this.#json({ ...get(filePath(ref), auth), signal });
  }

  locate(auth: Auth, body: { readonly ref: string; readonly limit?: number }, signal?: AbortSignal): Promise<Located> {
    return this.#json({ ...post('/api/v1/locate', auth, body), signal });
  }

  publishTicket(auth: Auth, signal?: AbortSignal): Promise<PublishTicket> {
    return this.#json({ ...post('/api/v1/tickets', auth), signal });
  }

  patch(auth: Auth, ref: string, body: PatchBody, signal?: AbortSignal): Promise<FileDetail> {
    const path = filePath(ref);
    return this.#json({ method: 'PATCH', path, ...headersOf(auth), body, isIdempotent: true, signal });
  }

  remove(auth: Auth, ref: string, signal?: AbortSignal): Promise<{ removed: number }> {
    // Not repeated: the second answer would be `not_found`.
    return this.#json({ method: 'DELETE', path: filePath(ref), ...headersOf(auth), isIdempotent: false, signal });
  }

  register(auth: Auth | undefined, body: Credentials, signal?: AbortSignal): Promise<Session> {
    return this.#json({ ...post('/api/v1/accounts', auth, body), isIdempotent: false, signal });
  }

  login(auth: Auth | undefined, body: Credentials, signal?: AbortSignal): Promise<Session> {
    return this.#json({ ...post('/api/v1/sessions', auth, body), isIdempotent: false, signal });
  }

  async logout(auth: Auth, signal?: AbortSignal): Promise<void> {
    const path = '/api/v1/sessions/current';
    await this.#send({ method: 'DELETE', path, ...headersOf(auth), isIdempotent: false, signal });
  }

  account(auth: Auth, signal?: AbortSignal): Promise<Account> {
    return this.#json({ ...get('/api/v1/account', auth), signal });
  }

  async changePassword(
    auth: Auth,
    body: { readonly currentPassword: string; readonly newPassword: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const path = '/api/v1/account/password';
    await this.#send({ method: 'PUT', path, ...headersOf(auth), body, isIdempotent: false, signal });
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

  async #seed(
    path: string,
    { auth, body, signal }: { auth: Auth | undefined; body: unknown; signal: AbortSignal | undefined },
  ): Promise<SeedAnswer> {
    const response = await this.#exchange({ ...post(path, auth, body), isIdempotent: false, signal });
    return { status: response.status, body: this.#parse(response) };
  }

  async #json<T>(call: Call): Promise<T> {
    return this.#parse(await this.#send(call)) as T;
  }

  async #send(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw problemError(this.#parse(answer), answer, this.#baseUrl);
  }

  async #exchange(call: Call): Promise<Answer> {
    const { signal, isIdempotent } = call;
    try {
      return await pRetry(() => this.#attempt(call), {
        retries: isIdempotent ? RETRIES : 0,
        minTimeout: FIRST_RETRY_MS,
        randomize: true,
        ...(signal !== undefined && { signal }),
        shouldRetry: ({ error }) => error instanceof NoAnswerError,
      });
    } catch (error) {
      // The signal may fire before, during and between attempts; it is always told as what it was.
      throw signal?.aborted === true ? abortError(signal) : error;
    }
  }

  async #attempt({ method, path, authorization, onBehalf, body, signal: caller }: Call): Promise<Answer> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal = caller === undefined ? timeout : AbortSignal.any([caller, timeout]);
    try {
      const response = await this.#fetch(`${this.#baseUrl}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(authorization !== undefined && { authorization }),
          ...(onBehalf !== undefined && { [ON_BEHALF_HEADER]: onBehalf }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // A credential is never carried on to wherever somebody redirects.
        redirect: 'error',
        signal,
      });
      return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() };
    } catch (cause) {
      if (timeout.aborted && caller?.aborted !== true) {
        throw new ShoalError('timeout', `the index at ${this.#baseUrl} did not answer in ${this.#timeoutMs} ms`, {
          cause,
        });
      }
      throw new NoAnswerError(this.#baseUrl, cause);
    }
  }

  #parse({ status, type, text }: Answer): unknown {
    if (/^application\/(problem\+)?json\b/.test(type)) {
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new ShoalError('unavailable', `the answer of ${this.#baseUrl} is not whole`, { cause });
      }
    }
    throw new ShoalError('unavailable', `what answers at ${this.#baseUrl} (status ${status}) is not a Shoal index`, {
      hint: 'check SHOAL_INDEX_URL',
    });
  }
}

/** A user name and a password. */
interface Credentials {
  readonly username: string;
  readonly password: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** The connection failed: the request may or may not have arrived. */
class NoAnswerError extends ShoalError {
  constructor(baseUrl: string, cause: unknown) {
    super('unavailable', `the index at ${baseUrl} does not answer (${rootMessage(cause)})`, {
      cause,
      hint: 'is it running, and is SHOAL_INDEX_URL right?',
    });
  }
}

/** fetch hides what happened ("fetch failed") behind one or two causes. */
function rootMessage(error: unknown): string {
  const { cause, message, code, name } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (cause !== undefined) return rootMessage(cause);
  // Node leaves the message empty when it tried several addresses.
  return message || code || name || String(error);
}

function problemError(body: unknown, { status }: Answer, baseUrl: string): ShoalError {
  const { code, detail, hint, errors, candidates } = (body ?? {}) as Partial<Problem>;
  if (!isErrorCode(code)) {
    return new ShoalError('unavailable', `the index at ${baseUrl} answered with status ${status} and no problem`);
  }
  return new ShoalError(code, detail ?? code, {
    ...(hint !== undefined && { hint }),
    ...((errors ?? candidates) !== undefined && {
      details: { ...(errors && { errors }), ...(candidates && { candidates }) },
    }),
  });
}

function isErrorCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.some((known) => known === code);
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
