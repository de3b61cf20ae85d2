import { ShoalError, toShoalError } from '../../../common/errors.js';
import type { CommandContext } from '../command-context.js';
import { canPrompt, promptHidden, readLines } from '../prompt.js';
import { readSession, removeSession, type StoredSession, writeSession } from '../session-file.js';

/** The options of the commands that need a password. */
export interface PasswordOptions {
  readonly passwordStdin?: boolean;
}

/** Creates an account and begins its first session. */
export async function register(context: CommandContext, username: string, options: PasswordOptions): Promise<void> {
  const password = await askPassword(context, options, { isNew: true });
  const client = await context.connectAs(undefined);
  const answer = await client.call('Register', { username, password });
  await keepSession(context, { username: answer.username, token: answer.session, expiresAt: answer.expiresAt });
  context.note(`registered ${answer.username}; logged in until ${answer.expiresAt}`);
}

/** Begins a session. */
export async function login(context: CommandContext, username: string, options: PasswordOptions): Promise<void> {
  const password = await askPassword(context, options, { isNew: false });
  const client = await context.connectAs(undefined);
  const answer = await client.call('Login', { username, password });
  await keepSession(context, { username: answer.username, token: answer.session, expiresAt: answer.expiresAt });
  context.note(`logged in as ${answer.username} until ${answer.expiresAt}`);
}

/**
 * Ends the session and forgets it; also when the index says that it is over already, and when the file holds none. When
 * nobody can be told, it is kept, so that it can be ended later.
 */
export async function logout(context: CommandContext): Promise<void> {
  const { sessionPath } = context.config;
  const session = await readSession(sessionPath).catch(async (error: unknown) => {
    if (toShoalError(error).code !== 'invalid') throw error;
    await removeSession(sessionPath);
    context.note(`removed ${sessionPath}, which held no session`);
    return undefined;
  });
  const username = session?.username ?? null;
  const wasOver = session !== undefined && (await endSession(context, session));
  await context.report({ json: { username }, names: username === null ? [] : [username], table: () => '' });
  if (username === null) context.note('nobody is logged in');
  else context.note(wasOver ? `the session of ${username} was over already` : `logged out ${username}`);
}

/** Tells who the caller is. */
export async function whoami(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const { username, peerAccount, expiresAt } = await client.call('WhoAmI', {});
  await context.report({
    json: { username, peerAccount, expiresAt: expiresAt === '' ? null : expiresAt },
    names: [username],
    table: () => `${username}\n`,
  });
  context.note(peerAccount ? "nobody is logged in: this is the peer's own account" : `until ${expiresAt}`);
}

/** Changes the caller's password; every other session of theirs ends. */
export async function passwd(context: CommandContext, options: PasswordOptions): Promise<void> {
  const session = await readSession(context.config.sessionPath);
  if (session === undefined) {
    throw new ShoalError('unauthenticated', 'nobody is logged in', { hint: 'shoal login USER' });
  }
  const [currentPassword, newPassword] = await askPasswordChange(context, options);
  const client = await context.connectAs(session);
  await client.call('ChangePassword', { currentPassword, newPassword });
  const { username } = session;
  await context.report({ json: { username }, names: [username], table: () => '' });
  context.note(`the password of ${username} is changed`);
}

async function keepSession(context: CommandContext, session: StoredSession): Promise<void> {
  await writeSession(context.config.sessionPath, session);
  const { username, expiresAt } = session;
  // Never the token: what is printed ends up in logs.
  await context.report({ json: { username, expiresAt }, names: [username], table: () => '' });
}

/** Ends and forgets a session; returns whether it was over already. */
async function endSession(context: CommandContext, session: StoredSession): Promise<boolean> {
  const client = await context.connectAs(session);
  let wasOver = false;
  try {
    await client.call('Logout', {});
  } catch (error) {
    const { code } = toShoalError(error);
    if (code !== 'unauthenticated' && code !== 'not_found') throw error;
    wasOver = true;
  }
  await removeSession(context.config.sessionPath);
  return wasOver;
}

async function askPassword(
  context: CommandContext,
  options: PasswordOptions,
  { isNew }: { readonly isNew: boolean },
): Promise<string> {
  const { stdin, stderr } = context.io;
  const deps = { stdin, stderr, signal: context.signal };
  if (options.passwordStdin === true) return (await readLines(deps, 1))[0] as string;
  if (context.config.password !== undefined) return context.config.password;
  if (!canPrompt(stdin)) throw noPassword('pipe it in with --password-stdin, or set SHOAL_PASSWORD');
  const password = await promptHidden(deps, 'Password: ');
  if (isNew) await confirm(context, password);
  return password;
}

async function askPasswordChange(
  context: CommandContext,
  options: PasswordOptions,
): Promise<readonly [current: string, replacement: string]> {
  const { stdin, stderr } = context.io;
  const deps = { stdin, stderr, signal: context.signal };
  if (options.passwordStdin === true) return (await readLines(deps, 2)) as [string, string];
  if (!canPrompt(stdin)) throw noPassword('pipe in two lines, the current and the new one, with --password-stdin');
  const current = context.config.password ?? (await promptHidden(deps, 'Current password: '));
  const replacement = await promptHidden(deps, 'New password: ');
  await confirm(context, replacement);
  return [current, replacement];
}

async function confirm(context: CommandContext, password: string): Promise<void> {
  const { stdin, stderr } = context.io;
  const again = await promptHidden({ stdin, stderr, signal: context.signal }, 'Once more: ');
  if (again !== password) throw new ShoalError('invalid', 'the two passwords differ; nothing was changed');
}

function noPassword(hint: string): ShoalError {
  return new ShoalError('invalid', 'there is no terminal to ask for the password', { hint });
}
