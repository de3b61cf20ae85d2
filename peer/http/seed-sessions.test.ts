import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { SeedSessions } from './seed-sessions.js';

const NOON = Date.parse('2026-03-01T12:00:00Z');
const LATER = '2026-03-01T13:00:00.000Z';
let dir: string;
let path: string;
let now: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-sessions-'));
  path = join(dir, 'seed-sessions.json');
  now = NOON;
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function opened(lines: string[] = []): Promise<SeedSessions> {
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const sessions = new SeedSessions({ log, now: () => now }, { path });
  await sessions.open();
  return sessions;
}

describe('the sessions of /clogin', () => {
  it('outlive a restart, in a file that only its owner can read', async () => {
    const before = await opened();
    await before.keep('Ann', { token: 't1', expiresAt: LATER });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const after = await opened();
    expect(after.token('ann')).toBe('t1');
    expect(after.token('bob')).toBeUndefined();
  });

  it('are over when they expire or are forgotten, and then leave the file', async () => {
    const sessions = await opened();
    await sessions.keep('ann', { token: 't1', expiresAt: LATER });
    await sessions.keep('bob', { token: 't2', expiresAt: '2026-03-01T14:00:00.000Z' });
    now = Date.parse(LATER);
    expect(sessions.token('ann')).toBeUndefined();
    await sessions.forget('bob');
    expect(sessions.token('bob')).toBeUndefined();
    await expect(readFile(path, 'utf8')).resolves.toBe('{}');
  });

  it('end up on disk as they are, however many change at once', async () => {
    const sessions = await opened();
    const names = Array.from({ length: 20 }, (_, i) => `user${i}`);
    await Promise.all(names.map((name) => sessions.keep(name, { token: name, expiresAt: LATER })));
    await Promise.all(names.slice(10).map((name) => sessions.forget(name)));
    const after = await opened();
    expect(names.filter((name) => after.token(name) !== undefined)).toEqual(names.slice(0, 10));
  });

  it.each(['nonsense', '[]', '{"ann":{}}'])(
    'begin anew, with a word in the log, when the file holds %s',
    async (text) => {
      await writeFile(path, text);
      const lines: string[] = [];
      const sessions = await opened(lines);
      expect(lines).toHaveLength(1);
      await sessions.keep('ann', { token: 't1', expiresAt: LATER });
      expect((await opened()).token('ann')).toBe('t1');
    },
  );

  it('are nobody’s for names that objects have by themselves', async () => {
    expect((await opened()).token('__proto__')).toBeUndefined();
    expect((await opened()).token('constructor')).toBeUndefined();
  });
});
