import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTemporaryFile } from './temporary-file.js';
import { writeWhole } from './whole-file.js';

/*
 * What comes to stand in a file's place between looking and writing: with many files under way, another of them may
 * need a folder there.
 */

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-saving-'));
});
afterEach(() => rm(folder, { recursive: true }));

const options = { umask: 0o22, shown: 'out/a' };
/** Both ways that a file takes its place. */
const ways = {
  'a small file': async (path: string) => writeWhole(path, Buffer.from('new'), options),
  'a large file': async (path: string) => {
    const temporary = await createTemporaryFile(folder, 'a');
    try {
      await temporary.append(Buffer.from('new'));
      await temporary.moveTo(path, options);
    } finally {
      await temporary.discard();
    }
  },
};

describe.each(Object.entries(ways))('%s', (_way, save) => {
  test.each([
    ['a folder that is empty', [] as string[]],
    ['a folder with files', ['inside']],
  ])('does not take the place of %s, and leaves nothing behind', async (_folder, inside) => {
    const path = join(folder, 'a');
    await mkdir(path);
    for (const name of inside) await mkdir(join(path, name));
    await expect(save(path)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('cannot save out/a: EISDIR'),
      hint: 'say another place with --to PATH',
    });
    expect(await readdir(folder)).toEqual(['a']);
    expect(await readdir(path)).toEqual(inside);
  });

  test('fails as "invalid" under a name that the file system does not take', async () => {
    await expect(save(join(folder, 'n'.repeat(300)))).rejects.toMatchObject({ code: 'invalid' });
    expect(await readdir(folder)).toEqual([]);
  });

  test('takes the place of a file', async () => {
    const path = join(folder, 'a');
    writeWhole(path, Buffer.from('old'), options);
    await save(path);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['a']);
  });
});
