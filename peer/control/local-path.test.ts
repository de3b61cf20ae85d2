import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocalSource, openLocalTarget } from './local-path.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function seen(path: string) {
  const { dev, ino } = await stat(path, { bigint: true });
  return { path, device: `${dev}`, inode: `${ino}` };
}

test('what the caller sees is opened, through a symlink as well', async () => {
  const path = join(dir, 'file');
  await writeFile(path, 'abc');
  await symlink(path, join(dir, 'link'));
  for (const name of ['file', 'link']) {
    const source = await openLocalSource(await seen(join(dir, name)));
    expect(source?.isPipe).toBe(false);
    expect(await source?.handle.readFile('utf8')).toBe('abc');
    await source?.handle.close();
  }
  const handle = await openLocalTarget(await seen(path));
  await handle?.write('x');
  await handle?.close();
  expect(await readFile(path, 'utf8')).toBe('xbc');
});

test.each([
  ['another file of the same name', async (path: string) => ({ ...(await seen(path)), inode: '1' })],
  ['a file on another device', async (path: string) => ({ ...(await seen(path)), device: '1' })],
  ['nothing', async (path: string) => ({ ...(await seen(path)), path: `${path}-not` })],
  ['a folder', async () => seen(dir)],
  ['a path with a zero in it', async (path: string) => ({ ...(await seen(path)), path: `${path}\0` })],
])('%s is not', async (_what, name) => {
  const path = join(dir, 'file');
  await writeFile(path, 'abc');
  expect(await openLocalSource(await name(path))).toBeUndefined();
  expect(await openLocalTarget(await name(path))).toBeUndefined();
});

test('a pipe is opened to be read, not to be written to, and nobody waits for its other end', async () => {
  const path = join(dir, 'pipe');
  execFileSync('mkfifo', [path]);
  const source = await openLocalSource(await seen(path));
  expect(source?.isPipe).toBe(true);
  expect(await openLocalTarget(await seen(path))).toBeUndefined();
  await source?.handle.close();
});
