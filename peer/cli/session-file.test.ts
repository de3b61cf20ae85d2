import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSession, removeSession, writeSession } from './session-file.js';

const SESSION = { username: 'ann', token: 'secret-token', expiresAt: '2026-02-02T03:04:05.000Z' };
let dir = '';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-session-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('keeps a session for its owner alone, over one that was there, and leaves nothing else', async () => {
  const path = join(dir, 'below', 'session');
  await writeSession(path, { ...SESSION, token: 'older' });
  await writeSession(path, SESSION);
  expect(await readSession(path)).toEqual(SESSION);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(dir, 'below'))).toEqual(['session']);
});

test('finds no session where there is no file, also after removing it twice', async () => {
  const path = join(dir, 'session');
  await writeSession(path, SESSION);
  await removeSession(path);
  await removeSession(path);
  expect(await readSession(path)).toBeUndefined();
});

test.each([
  ['no JSON', 'token'],
  ['another value', '[]'],
  ['null', 'null'],
  ['a field missing', '{"username":"ann","token":"t"}'],
  ['a token that no header can carry', JSON.stringify({ ...SESSION, token: 'a\nb' })],
])('refuses a file with %s, naming it', async (_what, text) => {
  const path = join(dir, 'session');
  await writeFile(path, text);
  await expect(readSession(path)).rejects.toMatchObject({
    code: 'invalid',
    message: `the session file ${path} does not hold a session`,
    hint: 'forget it with: shoal logout',
  });
});

test('says which file it could not write, and keeps what was there', async () => {
  const path = join(dir, 'session');
  await writeFile(path, 'a file, not a folder');
  await expect(writeSession(join(path, 'session'), SESSION)).rejects.toMatchObject({ code: 'internal' });
  expect(await readFile(path, 'utf8')).toBe('a file, not a folder');
});
