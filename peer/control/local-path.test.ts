import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocalPath } from './local-path.js';

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
    const handle = await openLocalPath(await seen(join(dir, name)), 'read');
    expect(await handle?.readFile('utf8')).toBe('abc');
    await handle?.close();
  }
  const handle = await openLocalPath(await seen(path), 'write');
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
  expect(await openLocalPath(await name(path), 'read')).toBeUndefined();
  expect(await openLocalPath(await name(path), 'write')).toBeUndefined();
});

test('a FIFO is not, and nobody waits for its other end', async () => {
  const path = join(dir, 'fifo');
  execFileSync('mkfifo', [path]);
  expect(await openLocalPath(await seen(path), 'read')).toBeUndefined();
  expect(await openLocalPath(await seen(path), 'write')).toBeUndefined();
});
