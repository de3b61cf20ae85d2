import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ShoalError } from '../../common/errors.js';

/** What a login leaves behind. */
export interface StoredSession {
  readonly username: string;
  /** Sent as `authorization: Bearer`; a secret. */
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** The session kept for later commands. Undefined when there is none; throws `invalid` when the file is not one. */
export async function readSession(path: string): Promise<StoredSession | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ShoalError('invalid', `cannot read the session file ${path}: ${(error as Error).message}`, {
      cause: error,
      hint: 'name another one in SHOAL_SESSION_FILE',
    });
  }
  const session = parse(text);
  if (session !== undefined) return session;
  throw new ShoalError('invalid', `the session file ${path} does not hold a session`, {
    hint: 'forget it with: shoal logout',
  });
}

/** Keeps a session, readable by its owner alone. Whoever reads meanwhile sees the old file or the new one, whole. */
export async function writeSession(path: string, session: StoredSession): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await replaceFile(path, `${JSON.stringify(session)}\n`);
  } catch (error) {
    throw new ShoalError('internal', `cannot write the session file ${path}: ${(error as Error).message}`, {
      cause: error,
      hint: 'name another one in SHOAL_SESSION_FILE',
    });
  }
}

/** Forgets the session. Does nothing when there is none. */
export async function removeSession(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function parse(text: string): StoredSession | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: the caller says so, with the path.
    return undefined;
  }
  const { username, token, expiresAt } = (value ?? {}) as Partial<Record<keyof StoredSession, unknown>>;
  if (typeof username !== 'string' || typeof token !== 'string' || typeof expiresAt !== 'string') return undefined;
  // What cannot stand in a gRPC header was not written by us.
  return /^[\x21-\x7e]+$/.test(token) ? { username, token, expiresAt } : undefined;
}
