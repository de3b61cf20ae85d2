import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Logger } from '../../common/log.js';

const fileSchema = z.record(z.string(), z.object({ token: z.string(), expiresAt: z.iso.datetime() }));

interface SeedSession {
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/**
 * The sessions of users who logged in through `/clogin`, whose later requests carry a user name and no token. Kept in
 * memory and in a file that only its owner can read, so that a restart logs nobody out. User names that differ by case
 * alone are one user's, as at the index.
 */
export class SeedSessions {
  readonly #log: Logger;
  readonly #path: string;
  readonly #now: () => number;
  readonly #sessions = new Map<string, SeedSession>();
  #saved: Promise<void> = Promise.resolve();

  constructor(deps: { readonly log: Logger; readonly now: () => number }, options: { readonly path: string }) {
    this.#log = deps.log;
    this.#now = deps.now;
    this.#path = options.path;
  }

  /** Reads the file. One that cannot be understood is reported and left behind: its users log in again. */
  async open(): Promise<void> {
    try {
      const sessions = fileSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      for (const [username, session] of Object.entries(sessions)) this.#sessions.set(username, session);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#log.warn({ error, path: this.#path }, 'the sessions of /clogin cannot be read; users have to log in again');
    }
  }

  /** The token of a user's session, or undefined when there is none that is still good. */
  token(username: string): string | undefined {
    const session = this.#sessions.get(username.toLowerCase());
    return session === undefined || Date.parse(session.expiresAt) <= this.#now() ? undefined : session.token;
  }

  /** Keeps a session in place of the user's earlier one; resolves when it is on disk. */
  async keep(username: string, session: SeedSession): Promise<void> {
    this.#sessions.set(username.toLowerCase(), session);
    await this.#save();
  }

  /** Forgets a user's session; resolves when it is gone from disk. */
  async forget(username: string): Promise<void> {
    if (this.#sessions.delete(username.toLowerCase())) await this.#save();
  }

  /** One write after another, so that the last state is the one that stays. */
  #save(): Promise<void> {
    const write = async () => {
      const live = [...this.#sessions].filter(([username]) => this.token(username) !== undefined);
      const passing = `${this.#path}.new`;
      await writeFile(passing, JSON.stringify(Object.fromEntries(live)), { mode: 0o600, flush: true });
      await rename(passing, this.#path);
    };
    const saved = this.#saved.then(write, write);
    this.#saved = saved;
    return saved;
  }
}
