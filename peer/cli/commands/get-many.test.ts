import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { ShoalError } from '../../../common/errors.js';
import { SMALL_FILE_BYTES } from '../../small-files.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const large = randomBytes(SMALL_FILE_BYTES + 1);
const text = (name: string) => readFile(cli.path(name), 'utf8');
/** What was printed, a line each, sorted: files of a prefix come in any order. */
const lines = (stdout: string) => stdout.trim().split('\n').sort();
const methods = () => cli.server.calls.map(({ method }) => method);
/** All files below a folder, sorted. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(cli.path(folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

describe('PREFIX/', () => {
  beforeEach(() => {
    const { catalogue } = cli.server;
    for (const [name, content] of [
      ['models/a', 'aa'],
      ['models/deep/er/b', 'bbb'],
      ['models/large', large],
      ['models2/c', 'c'],
    ] as const) {
      catalogue.add(name, content);
    }
  });

  test('brings all files below it into the folder of its name, small ones in one call', async () => {
    const { exitCode, stdout, stderr } = await cli.run(['get', 'models/']);
    expect({ exitCode, paths: lines(stdout) }).toEqual({
      exitCode: 0,
      paths: ['models/a', 'models/deep/er/b', 'models/large'],
    });
    expect(stderr).toMatch(/^3 files: 256 KiB in .* s \(.*\/s\)\n$/);
    expect(await text('models/a')).toBe('aa');
    expect(await text('models/deep/er/b')).toBe('bbb');
    expect((await readFile(cli.path('models/large'))).equals(large)).toBe(true);
    expect((await stat(cli.path('models/a'))).mode & 0o777).toBe(0o644);
    expect(
      methods()
        .filter((method) => method !== 'List')
        .sort(),
    ).toEqual(['Get', 'GetMany']);
    expect(await tree('models')).toEqual(['a', 'b', 'large']);
  });

  test.each(['out', 'out/', 'new/out'])('lays them out in --to %s, which is made', async (to) => {
    expect((await cli.run(['get', 'models/', '--to', to])).exitCode).toBe(0);
    expect(await text(`${to}/deep/er/b`)).toBe('bbb');
  });

  test('goes together with single files and other prefixes', async () => {
    await mkdir(cli.path('out'));
    const { exitCode, stdout } = await cli.run(['get', 'models/', 'models2/', 'models/deep/er/b', '--to', 'out']);
    const paths = ['out/a', 'out/b', 'out/c', 'out/deep/er/b', 'out/large'];
    expect({ exitCode, paths: lines(stdout) }).toEqual({ exitCode: 0, paths });
  });

  test('is told as one value', async () => {
    const { files } = JSON.parse((await cli.run(['get', 'models/', '-o', 'json'])).stdout) as { files: object[] };
    expect(files).toHaveLength(3);
    expect(files[0]).toMatchObject({
      path: 'models/a',
      name: 'models/a',
      owner: 'shoal',
      size: 2,
      receivedBytes: 2,
      peers: 2,
    });
  });

  test('may be that of an owner', async () => {
    expect((await cli.run(['get', 'shoal/models/', '--to', 'out'])).exitCode).toBe(0);
    expect(await tree('out')).toEqual(['a', 'b', 'large']);
  });

  test('is not found where no name begins so', async () => {
    const { exitCode, stderr } = await cli.run(['get', 'model/']);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("shoal: there is no file whose name begins with 'model/' that you may read\n");
  });

  test.each(['/', '//', 'a//', '../', 'a/../', '-/../'])('refuses %s', async (ref) => {
    const { exitCode } = await cli.run(['get', ref]);
    expect({ exitCode, calls: methods() }).toEqual({ exitCode: 2, calls: [] });
  });
});

describe('what is there already', () => {
  beforeEach(() => {
    cli.server.catalogue.add('set/a', 'aa');
    cli.server.catalogue.add('set/large', large);
  });

  test('is left when it is the same', async () => {
    await cli.run(['get', 'set/']);
    const before = [await stat(cli.path('set/a')), await stat(cli.path('set/large'))].map(({ ino }) => ino);
    const { exitCode, stdout } = await cli.run(['get', 'set/']);
    expect({ exitCode, paths: lines(stdout) }).toEqual({ exitCode: 0, paths: ['set/a', 'set/large'] });
    expect([await stat(cli.path('set/a')), await stat(cli.path('set/large'))].map(({ ino }) => ino)).toEqual(before);
    expect(await tree('set')).toEqual(['a', 'large']);
  });

  test.each([
    ['a', 'small'],
    ['large', 'large'],
  ])('is not replaced when it differs (%s)', async (name) => {
    await mkdir(cli.path('set'));
    await writeFile(cli.path(`set/${name}`), 'mine');
    const { exitCode, stdout, stderr } = await cli.run(['get', 'set/']);
    expect({ exitCode, lines: stdout.split('\n').length }).toEqual({ exitCode: 8, lines: 2 });
    expect(stderr).toContain(`shoal: set/${name} is there and differs\nhint: replace such files with --overwrite`);
    expect(await text(`set/${name}`)).toBe('mine');
    expect(await tree('set')).toEqual(['a', 'large']);
  });

  test('is replaced with --overwrite, and of a link the link alone', async () => {
    await mkdir(cli.path('set'));
    await writeFile(cli.path('mine'), 'mine');
    await symlink('../mine', cli.path('set/a'));
    await symlink('../mine', cli.path('set/large'));
    expect((await cli.run(['get', 'set/', '--overwrite'])).exitCode).toBe(0);
    expect([await text('set/a'), await text('mine')]).toEqual(['aa', 'mine']);
    expect((await lstat(cli.path('set/large'))).isFile()).toBe(true);
  });

  test('is refused when it is no file', async () => {
    await mkdir(cli.path('set/a'), { recursive: true });
    const { exitCode, stderr } = await cli.run(['get', 'set/', '--overwrite']);
    expect(exitCode).toBe(8);
    expect(stderr).toContain('shoal: set/a is there and is not a regular file\n');
    expect(await tree('set')).toEqual(['large']);
  });
});

describe('names that lead elsewhere', () => {
  test.each(['../up', 'sub/../../up', './x', 'sub//x'])('refuses %s', async (inside) => {
    cli.server.catalogue.add(`set/${inside}`, 'evil');
    cli.server.catalogue.add('set/good', 'good');
    const { exitCode, stdout, stderr } = await cli.run(['get', 'set/', '--to', 'deep/out']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: 'deep/out/good\n' });
    expect(stderr).toContain(`shoal: set/${inside}: the name '${inside}' is none that a file may be saved under\n`);
    expect(await tree('deep')).toEqual(['good']);
  });

  test('refuses to go through a link out of the folder, and makes nothing there', async () => {
    await mkdir(cli.path('out'));
    await mkdir(cli.path('elsewhere'));
    await symlink('../elsewhere', cli.path('out/sub'));
    cli.server.catalogue.add('set/sub/dir/x', 'evil');
    const { exitCode, stderr } = await cli.run(['get', 'set/', '--to', 'out']);
    expect(exitCode).toBe(8);
    expect(stderr).toContain('out/sub leads out of the folder that the files were to go to\n');
    expect(await readdir(cli.path('elsewhere'))).toEqual([]);
  });

  test('goes through a link that stays inside', async () => {
    await mkdir(cli.path('out/real'), { recursive: true });
    await symlink('real', cli.path('out/sub'));
    cli.server.catalogue.add('set/sub/x', 'x');
    expect((await cli.run(['get', 'set/', '--to', 'out'])).exitCode).toBe(0);
    expect(await text('out/real/x')).toBe('x');
  });

  test('tells of a file that is in the way of a folder', async () => {
    cli.server.catalogue.add('set/a', 'file');
    cli.server.catalogue.add('set/a/b', 'in a folder');
    const { exitCode, stdout } = await cli.run(['get', 'set/']);
    expect({ exitCode, lines: stdout.trim().split('\n').length }).toEqual({ exitCode: 8, lines: 1 });
  });
});

describe('several REFs', () => {
  beforeEach(() => {
    cli.server.catalogue.add('x/a', 'aa');
    cli.server.catalogue.add('b', 'bbb');
    cli.server.catalogue.add('y/a', 'other');
  });

  test('go into the current folder, in the order given, in the place of what is there', async () => {
    await writeFile(cli.path('b'), 'older');
    const { exitCode, stdout } = await cli.run(['get', 'b', 'x/a']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'b\na\n' });
    expect([await text('a'), await text('b')]).toEqual(['aa', 'bbb']);
  });

  test('do not take the place of each other', async () => {
    const { exitCode, stderr } = await cli.run(['get', 'x/a', 'y/a']);
    expect(exitCode).toBe(8);
    expect(stderr).toContain('two of the files would be saved as a\n');
  });

  test.each(['-', 'file', '/dev/null'])('need a folder, which %s is not', async (to) => {
    await writeFile(cli.path('file'), '');
    const { exitCode, stderr } = await cli.run(['get', 'b', 'x/a', '--to', to]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`--to ${to} is no folder, and there are several files\n`);
  });

  test('fail one by one, by name', async () => {
    const { exitCode, stdout, stderr } = await cli.run(['get', 'missing', 'b']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: 'b\n' });
    expect(stderr).toContain("shoal: there is no file 'missing'\n");
    expect(stderr).toContain('shoal: 1 of 2 files failed\n');
  });
});

test('an --overwrite without a prefix says that it does nothing', async () => {
  expect((await cli.run(['get', 'a', '--overwrite'])).exitCode).toBe(2);
});

test('tells which file has failed, and goes on', async () => {
  cli.server.catalogue.add('set/a', 'aa');
  cli.server.catalogue.add('set/b', 'bbb');
  cli.server.trouble('set/a', { kind: 'fail', error: new ShoalError('unavailable', 'no live peer has it') });
  const { exitCode, stdout, stderr } = await cli.run(['get', 'set/']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: 'set/b\n' });
  expect(stderr).toContain('shoal: set/a: no live peer has it\n');
});

test('writes no file of which bytes are missing', async () => {
  cli.server.catalogue.add('set/a', 'aa');
  cli.server.withheldBytes = 1;
  const { exitCode, stderr } = await cli.run(['get', 'set/']);
  expect(exitCode).toBe(6);
  expect(stderr).toContain('set/a has 2 bytes, and 1 came');
  expect(await tree('set')).toEqual([]);
});

test('stops when the peer is gone', async () => {
  for (let i = 0; i < 200; i += 1) cli.server.catalogue.add(`set/${String(i).padStart(3, '0')}`, 'x');
  cli.server.trouble('set/000', { kind: 'die' });
  const { exitCode, stderr } = await cli.run(['get', 'set/']);
  expect(exitCode).toBe(5);
  expect(stderr).toContain('lost the connection to the peer at');
  expect(stderr).toMatch(/^shoal: 1 of 200 files failed, and 199 more were given up\n$/m);
});
