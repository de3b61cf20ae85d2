import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { EXIT_STATUS, ShoalError } from '../../../common/errors.js';
import { SMALL_FILE_BYTES } from '../../small-files.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const idOf = (content: string) => createHash('sha256').update(content).digest('hex');
const names = () => cli.server.catalogue.files.map(({ entry }) => entry.name).sort();
const methods = () => cli.server.calls.map(({ method }) => method);

test('publishes several files, small ones in one call, and prints their ids in the order given', async () => {
  const large = randomBytes(SMALL_FILE_BYTES + 1);
  await Promise.all([
    writeFile(cli.path('a'), 'aa'),
    writeFile(cli.path('b'), 'bbb'),
    writeFile(cli.path('empty'), ''),
    writeFile(cli.path('large'), large),
  ]);
  const { exitCode, stdout, stderr } = await cli.run([
    'put',
    'b',
    'large',
    'a',
    'empty',
    '--tag',
    'k=v',
    '--share',
    'ann',
  ]);
  const ids = [idOf('bbb'), createHash('sha256').update(large).digest('hex'), idOf('aa'), idOf('')];
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: ids.map((id) => `${id}\n`).join('') });
  expect(stderr).toMatch(/^4 files: 256 KiB in .* s \(.*\/s\)\n$/);
  expect(methods().sort()).toEqual(['Put', 'PutMany']);
  const terms = { tags: { k: 'v' }, visibility: 'private', readers: ['ann'] };
  for (const { request } of cli.server.calls) expect(request).toMatchObject(terms);
  for (const { entry, content } of cli.server.catalogue.files) expect(entry.size).toBe(content.length);
});

test('shows several files as one value, or a line each', async () => {
  await writeFile(cli.path('a'), 'aa');
  await writeFile(cli.path('b'), 'bbb');
  expect((await cli.run(['put', 'b', 'a', '-o', 'name'])).stdout).toBe('b\na\n');
  expect((await cli.run(['put', 'b', 'a', '-o', 'jsonl'])).stdout.split('\n')).toHaveLength(3);
  const { files } = JSON.parse((await cli.run(['put', 'a', 'b', '-o', 'json'])).stdout) as { files: unknown[] };
  expect(files).toMatchObject([
    { name: 'a', size: 2 },
    { name: 'b', size: 3 },
  ]);
});

test('publishes what is in a folder under its name', async () => {
  await mkdir(cli.path('set/inner/empty'), { recursive: true });
  await writeFile(cli.path('set/a'), 'a');
  await writeFile(cli.path('set/inner/b'), 'b');
  expect((await cli.run(['put', 'set/', '-o', 'name'])).stdout).toBe('set/a\nset/inner/b\n');
  expect((await cli.run(['put', 'set', '--as', 'other/place/', '-o', 'name'])).stdout).toBe(
    'other/place/a\nother/place/inner/b\n',
  );
});

test('a folder with one file is a folder', async () => {
  await mkdir(cli.path('set'));
  await writeFile(cli.path('set/a'), 'a');
  expect((await cli.run(['put', 'set', '-o', 'name'])).stdout).toBe('set/a\n');
});

test('a folder without files is nothing to publish', async () => {
  await mkdir(cli.path('set'));
  expect(await cli.run(['put', 'set'])).toEqual({ exitCode: 0, stdout: '', stderr: 'no files\n' });
});

test('follows links to files, not to folders, and names what it leaves out', async () => {
  await mkdir(cli.path('set'));
  await mkdir(cli.path('blobs'));
  await writeFile(cli.path('blobs/1234'), 'weights');
  await symlink('../blobs/1234', cli.path('set/model.bin'));
  await symlink('..', cli.path('set/up'));
  await promisify(execFile)('mkfifo', [cli.path('set/pipe')]);
  const { exitCode, stderr } = await cli.run(['put', 'set']);
  expect(exitCode).toBe(0);
  expect(names()).toEqual(['set/model.bin']);
  expect(stderr).toContain(
    'set/pipe is left out: it is not a regular file\nset/up is left out: it is a link to a folder\n',
  );
});

test('tells by name which files fail, goes on with the others, and ends with the code of the failures', async () => {
  await mkdir(cli.path('set'));
  await symlink('nowhere', cli.path('set/lost'));
  await writeFile(cli.path('set/a'), 'a');
  await writeFile(cli.path('set/z'), 'z');
  const { exitCode, stdout, stderr } = await cli.run(['put', 'set', 'missing', '-o', 'name']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: 'set/a\nset/z\n' });
  expect(stderr).toContain('shoal: there is no file set/lost\n');
  expect(stderr).toContain('shoal: there is no file missing\n');
  expect(stderr).toContain('shoal: 2 of 4 files failed\n');
});

test('says which file the peer refused, and 1 when failures differ', async () => {
  await mkdir(cli.path('set'));
  await writeFile(cli.path('set/full'), 'x');
  await writeFile(cli.path('set/a\tb'), 'x');
  await writeFile(cli.path('set/ok'), 'x');
  cli.server.trouble('set/full', {
    kind: 'fail',
    error: new ShoalError('exhausted', 'the quota is used up', { hint: 'remove files' }),
  });
  const { exitCode, stdout, stderr } = await cli.run(['put', 'set', '-o', 'name']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: 'set/ok\n' });
  expect(stderr).toContain('shoal: set/full: the quota is used up\nhint: remove files\n');
  expect(stderr).toContain("shoal: the name 'set/a\\u{9}b' contains a control character\n");
});

test('prints what is published while others are under way', async () => {
  await writeFile(cli.path('a'), 'aa');
  await writeFile(cli.path('b'), 'bbb');
  cli.server.trouble('b', { kind: 'silent' });
  let printed = '';
  let stop = () => {};
  const stdout = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      printed += chunk.toString();
      done();
      stop();
    },
  });
  const onStart = (interrupt: () => void) => {
    stop = interrupt;
  };
  const { exitCode } = await cli.run(['put', 'a', 'b', '-o', 'name'], { stdout, onStart });
  expect({ exitCode, printed }).toEqual({ exitCode: EXIT_STATUS.cancelled, printed: 'a\n' });
});

test('tries no more when the index stays away, and says how many are left', async () => {
  await mkdir(cli.path('set'));
  const count = 200;
  for (let i = 0; i < count; i += 1) await writeFile(cli.path(`set/${String(i).padStart(3, '0')}`), 'x');
  for (let i = 0; i < count; i += 1) {
    const error = new ShoalError('unavailable', 'the index does not answer');
    cli.server.trouble(`set/${String(i).padStart(3, '0')}`, { kind: 'fail', error });
  }
  const { exitCode, stderr } = await cli.run(['put', 'set']);
  expect(exitCode).toBe(5);
  expect(stderr).toContain('shoal: 1 of 200 files failed, and 199 more were given up\n');
});

test('counts files in its progress', async () => {
  await mkdir(cli.path('set'));
  await writeFile(cli.path('set/a'), 'x');
  await writeFile(cli.path('set/b'), 'xyz');
  const { stderr } = await cli.run(['put', 'set', '--quiet', '--progress', 'json']);
  const events = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(events.at(-1)).toMatchObject({ phase: 'storing', doneBytes: 4, totalBytes: 4, files: { done: 2, total: 2 } });
});

test('is interrupted without a word about single files', async () => {
  await writeFile(cli.path('a'), 'aa');
  await writeFile(cli.path('b'), 'bbb');
  cli.server.trouble('PutMany', { kind: 'silent' });
  const called = cli.server.called('PutMany');
  const { exitCode, stderr } = await cli.run(['put', 'a', 'b'], {
    onStart: (interrupt) => void called.then(interrupt),
  });
  expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: 'shoal: interrupted\n' });
});
