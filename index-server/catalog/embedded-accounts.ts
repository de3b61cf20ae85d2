import { ShoalError } from '../../common/errors.js';
import type { AccountCatalog, SessionRow, UserRow } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';

interface StoredUser {
  readonly id: string;
  readonly name: string;
  readonly password_hash: string | null;
  readonly locked: number;
  readonly created_at: number;
}

interface StoredSession {
  readonly token_hash: string;
  readonly user_id: string;
  readonly expires_at: number;
}

/** Users, sessions and seats in the embedded store; every write is durable when it resolves. */
export function embeddedAccounts(database: EmbeddedDatabase): AccountCatalog {
  const write = (sql: string, ...values: readonly (string | number | null)[]): Promise<number> =>
    database.write(() => database.run(sql, ...values));
  return {
    async createUser({ id, name, passwordHash, locked, createdAt }) {
      const sql =
        'INSERT INTO users (id, name, name_key, password_hash, locked, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING';
      const added = await write(sql, id, name, name.toLowerCase(), passwordHash, Number(locked), createdAt);
      if (added === 0) throw new ShoalError('conflict', `the user name '${name}' is taken`);
    },
    async userByName(name) {
      const user = database.get<StoredUser>('SELECT * FROM users WHERE name_key = ?', name.toLowerCase());
      return user && userOf(user);
    },
    async usersById(ids) {
      const sql = 'SELECT u.* FROM json_each(?) j CROSS JOIN users u ON u.id = j.value';
      return database.all<StoredUser>(sql, JSON.stringify([...new Set(ids)])).map(userOf);
    },
    async setPassword(userId, passwordHash) {
      const changed = await write('UPDATE users SET password_hash = ? WHERE id = ?', passwordHash, userId);
      if (changed === 0) throw new ShoalError('not_found', `there is no user with id ${userId}`);
    },
    async createSession({ tokenHash, userId, expiresAt }) {
      await write(
        'INSERT OR REPLACE INTO sessions (token_hash, user_id, expires_at) VALUES (?, ?, ?)',
        tokenHash,
        userId,
        expiresAt,
      );
    },
    async session(tokenHash, now) {
      const sql = 'SELECT * FROM sessions WHERE token_hash = ? AND expires_at > ?';
      const session = database.get<StoredSession>(sql, tokenHash, now);
      return session && sessionOf(session);
    },
    async deleteSession(tokenHash) {
      await write('DELETE FROM sessions WHERE token_hash = ?', tokenHash);
    },
    deleteSessionsOf(userId, exceptTokenHash) {
      return write('DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ?', userId, exceptTokenHash ?? null);
    },
    async setSeat({ userId, url }) {
      await write('INSERT OR REPLACE INTO seats (user_id, url) VALUES (?, ?)', userId, url);
    },
    async seat(userId) {
      const seat = database.get<{ url: string }>('SELECT url FROM seats WHERE user_id = ?', userId);
      return seat && { userId, url: seat.url };
    },
    async deleteSeat(userId) {
      await write('DELETE FROM seats WHERE user_id = ?', userId);
    },
  };
}

function userOf({ id, name, password_hash, locked, created_at }: StoredUser): UserRow {
  return { id, name, passwordHash: password_hash, locked: locked !== 0, createdAt: created_at };
}

function sessionOf({ token_hash, user_id, expires_at }: StoredSession): SessionRow {
  return { tokenHash: token_hash, userId: user_id, expiresAt: expires_at };
}
