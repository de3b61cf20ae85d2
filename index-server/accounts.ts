import { randomBytes, randomUUID } from 'node:crypto';
import { ShoalError } from '../common/errors.js';
import type { Session } from './api/accounts.js';
import { PEER_ACCOUNT, usernameSchema } from './api/values.js';
import { type CallerSession, PEER_ACCOUNT_ROW, tokenHash } from './auth.js';
import type { Catalog, UserRow } from './catalog.js';
import type { LoginLimiter } from './login-limiter.js';
import type { IndexMetrics } from './metrics.js';
import type { Passwords } from './passwords.js';

/** Who tries to log in, and from where. */
export interface LoginAttempt {
  readonly username: string;
  readonly password: string;
  /** Remote address of the connection. */
  readonly address: string;
}

/** A new session with the account it belongs to. */
export interface LoggedIn {
  readonly user: UserRow;
  readonly session: Session;
}

/** What {@link Accounts} needs. */
export interface AccountsDeps {
  readonly catalog: Catalog;
  readonly passwords: Passwords;
  readonly limiter: LoginLimiter;
  readonly metrics: IndexMetrics;
  now(): number;
}

/** Accounts and their sessions. A session is 32 random bytes; the store keeps only its SHA-256. */
export class Accounts {
  readonly #deps: AccountsDeps;
  readonly #sessionMs: number;

  constructor(deps: AccountsDeps, options: { readonly sessionMs: number }) {
    this.#deps = deps;
    this.#sessionMs = options.sessionMs;
  }

  /** Makes sure that the peers' own account exists. Idempotent. */
  async createPeerAccount(): Promise<void> {
    try {
      await this.#deps.catalog.createUser(PEER_ACCOUNT_ROW);
    } catch (error) {
      if (!(error instanceof ShoalError) || error.code !== 'conflict') throw error;
    }
  }

  /** Creates an account and its first session. Throws `conflict` for a taken name, `denied` for the reserved one. */
  async register(username: string, password: string): Promise<LoggedIn> {
    if (username.toLowerCase() === PEER_ACCOUNT) {
      throw new ShoalError('denied', `the name '${username}' is reserved for the peers' own account`);
    }
    await this.#refuseTakenName(username);
    const user: UserRow = {
      id: randomUUID(),
      name: username,
      passwordHash: await this.#deps.passwords.hash(password),
      locked: false,
      createdAt: this.#deps.now(),
    };
    await this.#deps.catalog.createUser(user);
    return { user, session: await this.#begin(user) };
  }

  /**
   * Begins a session. An unknown user, a wrong password and an account that nobody can log in to are one answer, after
   * the same time: `unauthenticated`. Throws `throttled` after too many failures.
   */
  async login(attempt: LoginAttempt): Promise<LoggedIn> {
    const user = await this.find(attempt.username);
    await this.#check(user, attempt);
    if (user === undefined) throw new ShoalError('internal', 'a password matched without an account');
    return { user, session: await this.#begin(user) };
  }

  /** The account of this name, in any case. */
  async find(username: string): Promise<UserRow | undefined> {
    // What cannot be a name is not asked of the store.
    return usernameSchema.safeParse(username).success ? this.#deps.catalog.userByName(username) : undefined;
  }

  logout(session: CallerSession): Promise<void> {
    return this.#deps.catalog.deleteSession(session.tokenHash);
  }

  /** Changes a password and ends every other session of the user. Throws `denied` when the current one is wrong. */
  async changePassword(
    user: UserRow,
    change: { readonly current: string; readonly next: string; readonly address: string; readonly keep: CallerSession },
  ): Promise<void> {
    try {
      await this.#check(user, { username: user.name, password: change.current, address: change.address });
    } catch (error) {
      if (!(error instanceof ShoalError) || error.code !== 'unauthenticated') throw error;
      // The session is good, so 401, which asks clients to log in again, would be wrong here.
      throw new ShoalError('denied', 'the current password is wrong', { cause: error });
    }
    await this.#deps.catalog.setPassword(user.id, await this.#deps.passwords.hash(change.next));
    await this.#deps.catalog.deleteSessionsOf(user.id, change.keep.tokenHash);
  }

  async #check(user: UserRow | undefined, { username, password, address }: LoginAttempt): Promise<void> {
    const { limiter, metrics, passwords } = this.#deps;
    try {
      await limiter.begin(username, address);
    } catch (error) {
      metrics.authFailure('throttled');
      throw error;
    }
    let isWrong = false;
    try {
      isWrong = !(await passwords.matches(password, user?.locked === false ? user.passwordHash : null));
    } finally {
      // Also when the check itself failed: that says nothing about the password.
      if (!isWrong) await limiter.takeBack(username, address);
    }
    if (isWrong) {
      metrics.authFailure('bad_password');
      throw new ShoalError('unauthenticated', 'the user name or the password is wrong');
    }
  }

  async #refuseTakenName(username: string): Promise<void> {
    // Spares the hashing; the store has the last word when two register at once.
    if ((await this.#deps.catalog.userByName(username)) === undefined) return;
    throw new ShoalError('conflict', `the name '${username}' is taken`);
  }

  async #begin(user: UserRow): Promise<Session> {
    const token = randomBytes(32).toString('base64url');
    const expiresAt = this.#deps.now() + this.#sessionMs;
    await this.#deps.catalog.createSession({ tokenHash: tokenHash(token), userId: user.id, expiresAt });
    this.#deps.metrics.logins.inc();
    return { username: user.name, token, expiresAt: new Date(expiresAt).toISOString() };
  }
}
