import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ShoalError } from '../common/errors.js';
import { isLoopback } from '../common/loopback.js';
import type { TicketClaims } from './api/statements.js';
import { ON_BEHALF_HEADER, PEER_ACCOUNT } from './api/values.js';
import type { Catalog, UserRow } from './catalog.js';
import { ExpiringCache } from './expiring-cache.js';
import type { AuthFailure, IndexMetrics } from './metrics.js';
import type { PeerIdentity, Signer } from './signer.js';

/*
 * Who is calling. A session opens the index to a person, a peer token to a peer; a peer acts as the account `shoal`,
 * or for the user whose session or ticket it passes on.
 */

/** The peers' own account. Its id is fixed, so that its files are still its own after the store was lost. */
export const PEER_ACCOUNT_ROW: UserRow = {
  id: PEER_ACCOUNT,
  name: PEER_ACCOUNT,
  passwordHash: null,
  locked: false,
  createdAt: 0,
};

/** How the subject of a ticket begins that was made out to a peer. */
export const PEER_SUBJECT = 'peer:';

/** The session that a request was made in. */
export interface CallerSession {
  readonly tokenHash: string;
  readonly expiresAt: number;
}

/** Who makes a request. */
export interface Caller {
  /** In whose name. */
  readonly user: UserRow;
  /** The peer that speaks, if it is one. */
  readonly peer?: PeerIdentity;
  /** Unset for a peer that acts as its own account or by a ticket. */
  readonly session?: CallerSession;
  /** What the peer was given instead of a session: a right to one thing. */
  readonly ticket?: TicketClaims;
}

/** What is stored of a session token. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** What a request tells about who makes it. */
export interface Credentials {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
}

/** Tells callers apart. Everything throws `unauthenticated` or `denied`, and counts why. */
export class Authenticator {
  readonly #catalog: Catalog;
  readonly #signer: Signer;
  readonly #metrics: IndexMetrics;
  readonly #now: () => number;
  readonly #joinSecret: string | undefined;
  readonly #peerTokens: ExpiringCache<PeerIdentity>;

  constructor(
    deps: { readonly catalog: Catalog; readonly signer: Signer; readonly metrics: IndexMetrics; now(): number },
    options: { readonly joinSecret: string | undefined; readonly cachedTokens: number },
  ) {
    this.#catalog = deps.catalog;
    this.#signer = deps.signer;
    this.#metrics = deps.metrics;
    this.#now = deps.now;
    this.#joinSecret = options.joinSecret;
    this.#peerTokens = new ExpiringCache(options.cachedTokens);
  }

  /** The caller of a request with a session or a peer token. */
  async caller({ headers }: Credentials): Promise<Caller> {
    const bearer = this.#bearer(headers.authorization);
    const onBehalf = headers[ON_BEHALF_HEADER];
    // Peer tokens are JWTs; sessions are base64url and have no dot.
    if (!bearer.includes('.')) {
      if (onBehalf !== undefined) throw this.#failure('bad_on_behalf', 'only a peer can act on behalf of somebody');
      return this.#sessionCaller(bearer, 'unknown_session');
    }
    const peer = await this.#peerOf(bearer);
    if (onBehalf === undefined) return { user: PEER_ACCOUNT_ROW, peer };
    if (typeof onBehalf !== 'string') throw this.#failure('malformed', `${ON_BEHALF_HEADER} was given twice`);
    if (onBehalf.includes('.')) return this.#ticketCaller(onBehalf, peer);
    return { ...(await this.#sessionCaller(onBehalf, 'bad_on_behalf')), peer };
  }

  /** Lets a peer join that knows the secret, or, where none is set, that calls from this machine. */
  admit({ headers, remoteAddress }: Credentials): void {
    if (this.#joinSecret === undefined) {
      if (remoteAddress !== undefined && isLoopback(remoteAddress)) return;
      this.#metrics.authFailure('bad_join_secret');
      throw new ShoalError('denied', 'without a join secret only peers on the same machine may join', {
        hint: 'set SHOAL_JOIN_SECRET_FILE on the index and on every peer',
      });
    }
    const given = /^Join (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (given !== undefined && isSameSecret(given, this.#joinSecret)) return;
    throw this.#failure('bad_join_secret', 'the join secret is missing or wrong');
  }

  #bearer(header: string | undefined): string {
    if (header === undefined) {
      throw this.#failure('missing', 'this needs `Authorization: Bearer TOKEN` with a session or a peer token');
    }
    const token = /^Bearer (\S+)$/i.exec(header)?.[1];
    if (token === undefined) throw this.#failure('malformed', 'the Authorization header is not `Bearer TOKEN`');
    return token;
  }

  async #sessionCaller(token: string, reason: AuthFailure): Promise<{ user: UserRow; session: CallerSession }> {
    const session = await this.#catalog.session(tokenHash(token), this.#now());
    const [user] = session === undefined ? [] : await this.#catalog.usersById([session.userId]);
    if (session === undefined || user === undefined || user.locked) {
      throw this.#failure(reason, 'the session is unknown or over');
    }
    return { user, session: { tokenHash: session.tokenHash, expiresAt: session.expiresAt } };
  }

  async #peerOf(token: string): Promise<PeerIdentity> {
    const now = this.#now();
    const cached = this.#peerTokens.get(token, now);
    if (cached !== undefined) return cached;
    try {
      const { peer, expiresAt } = await this.#signer.verifyPeerToken(token, now);
      this.#peerTokens.set(token, peer, expiresAt);
      return peer;
    } catch (error) {
      this.#metrics.authFailure('bad_token');
      throw error;
    }
  }

  async #ticketCaller(token: string, peer: PeerIdentity): Promise<Caller> {
    const ticket = await this.#ticket(token);
    // What a ticket says of a peer is about a copy that it keeps, in nobody's name.
    const isPeers = ticket.sub.startsWith(PEER_SUBJECT) || ticket.sub === PEER_ACCOUNT;
    const [user] = isPeers ? [PEER_ACCOUNT_ROW] : await this.#catalog.usersById([ticket.sub]);
    if (user === undefined || user.locked) throw this.#failure('bad_on_behalf', 'the user of the ticket is unknown');
    return { user, peer, ticket };
  }

  async #ticket(token: string): Promise<TicketClaims> {
    try {
      return await this.#signer.verifyTicket(token, this.#now());
    } catch (error) {
      this.#metrics.authFailure('bad_on_behalf');
      throw error;
    }
  }

  #failure(reason: AuthFailure, message: string): ShoalError {
    this.#metrics.authFailure(reason);
    return new ShoalError('unauthenticated', message, {
      ...(reason === 'unknown_session' && { hint: 'log in again with: shoal login USER' }),
    });
  }
}

function isSameSecret(given: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}
