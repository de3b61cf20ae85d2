import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, symlink, truncate, writeFile } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { ShoalError } from '../../../common/errors.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const content = randomBytes(2 * 1024 * 1024 + 12_345);
const sha256 = createHash('sha256').update(content).digest('hex');

test('publishes under the base name and prints the id alone', async () => {
  await mkdir(cli.path('sub'));
  await writeFile(cli.path('sub/model.bin'), content);
  const { exitCode, stdout, stderr } = await cli.run(['put', 'sub/model.bin']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${sha256}\n` });
  expect(stderr).toMatch(/^model\.bin: 2\.0 MiB in .* s \(.*\/s\), 1 copy\n$/);
  expect(cli.server.calls[0]?.request).toMatchObject({
    name: 'model.bin',
    visibility: 'public',
    readers: [],
    noWait: false,
    size: content.length,
    source: { path: cli.path('sub/model.bin') },
  });
  expect(cli.server.calls[0]?.request).not.toHaveProperty('replicas');
});

test('shows what it published in every format', async () => {
  await writeFile(cli.path('a'), content);
  const published = { id: sha256, name: 'a', size: content.length, sha256, copies: 1 };
  expect(JSON.parse((await cli.run(['put', 'a', '-o', 'json'])).stdout)).toEqual(published);
  expect((await cli.run(['put', 'a', '-o', 'jsonl'])).stdout).toBe(`${JSON.stringify(published)}\n`);
  expect((await cli.run(['put', 'a', '-o', 'name'])).stdout).toBe('a\n');
});

test('passes every option on', async () => {
  await writeFile(cli.path('a'), '');
  const options = ['--as', 'dir/b', '--tag', 'k=v', '--tag', 'l=w=x', '--share', 'ann', '--share', 'bob'];
  const { exitCode } = await cli.run(['put', 'a', ...options, '--replicas', '3', '--no-wait']);
  expect(exitCode).toBe(0);
  expect(cli.server.calls[0]?.request).toMatchObject({
    name: 'dir/b',
    tags: { k: 'v', l: 'w=x' },
    visibility: 'private',
    readers: ['ann', 'bob'],
    replicas: 3,
    noWait: true,
    size: 0,
  });
});

test('tells the real path of a file behind a link', async () => {
  await writeFile(cli.path('real'), 'x');
  await symlink('real', cli.path('link'));
  await cli.run(['put', 'link']);
  expect(cli.server.calls[0]?.request).toMatchObject({ name: 'link', source: { path: cli.path('real') } });
});

test.each([0, 1, 1024 * 1024, 1024 * 1024 + 1, 5_000_000])(
  'streams the %d bytes when the daemon cannot open the path',
  async (size) => {
    cli.server.opensPaths = false;
    const bytes = randomBytes(size);
    await writeFile(cli.path('a'), bytes);
    const { exitCode } = await cli.run(['put', 'a']);
    expect(exitCode).toBe(0);
    expect(cli.server.catalogue.files[0]?.content.equals(bytes)).toBe(true);
  },
);

test('publishes standard input under the name given', async () => {
  const { exitCode, stdout } = await cli.run(['put', '-', '--as', 'from-pipe'], { stdin: content });
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${sha256}\n` });
  expect(cli.server.calls[0]?.request).toMatchObject({ name: 'from-pipe', source: null });
  expect(cli.server.calls[0]?.request).not.toHaveProperty('size');
  expect(cli.server.catalogue.files[0]?.content.equals(content)).toBe(true);
});

const onLinux = process.platform === 'linux' ? test : test.skip;

/** Standard input that nobody may read. */
const unreadable = () =>
  new Readable({
    read() {
      this.destroy(new Error('standard input was read'));
    },
  });

onLinux('has the daemon read standard input itself when that is a pipe, and says that nothing is missing', async () => {
  execFileSync('mkfifo', [cli.path('pipe')]);
  const stdin = await open(cli.path('pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = await open(cli.path('pipe'), 'w');
  const written = writer.writeFile(content).then(() => writer.close());
  cli.server.confirmsEnd = true;
  const options = { stdin: unreadable(), stdinFd: stdin.fd };
  const { exitCode, stdout } = await cli.run(['put', '-', '--as', 'x'], options);
  await written;
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${sha256}\n` });
  expect(cli.server.calls[0]?.request).toMatchObject({ source: { path: `/proc/${process.pid}/fd/${stdin.fd}` } });
  expect(cli.server.calls[0]?.request).not.toHaveProperty('size');
  await stdin.close();
});

onLinux('has the daemon read standard input itself when that is a file', async () => {
  await writeFile(cli.path('a'), content);
  const stdin = await open(cli.path('a'));
  const options = { stdin: unreadable(), stdinFd: stdin.fd };
  const { exitCode, stdout } = await cli.run(['put', '-', '--as', 'x'], options);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${sha256}\n` });
  expect(cli.server.calls[0]?.request).toMatchObject({
    size: content.length,
    source: { path: `/proc/${process.pid}/fd/${stdin.fd}` },
  });
  await stdin.close();
});

onLinux('sends what is left of a file that was read in part', async () => {
  await writeFile(cli.path('input'), `skipped${content.toString('latin1')}`, 'latin1');
  const stdin = await open(cli.path('input'));
  await stdin.read(Buffer.alloc(7), 0, 7, null);
  const { stdout } = await cli.run(['put', '-', '--as', 'x'], { stdin: content, stdinFd: stdin.fd });
  expect(stdout).toBe(`${sha256}\n`);
  expect(cli.server.calls[0]?.request).toMatchObject({ source: null });
  await stdin.close();
});

onLinux('reads a file that does not tell its size', async () => {
  const stdin = await open('/proc/version');
  const { stdout } = await cli.run(['put', '-', '--as', 'x'], { stdin: content, stdinFd: stdin.fd });
  expect(stdout).toBe(`${sha256}\n`);
  expect(cli.server.calls[0]?.request).toMatchObject({ source: null });
  await stdin.close();
});

test.each([
  ['a missing file', ['put', 'missing'], 3, 'there is no file missing'],
  ['an empty path', ['put', ''], 2, "the FILE '' is empty"],
  ['a folder under a bad name', ['put', 'folder', '--as', '../x'], 2, "the name '../x' has a '.' or '..' segment"],
  ['a device', ['put', '/dev/null', '--as', 'x'], 2, '/dev/null is not a regular file'],
  ['standard input without a name', ['put', '-'], 2, 'standard input has no name'],
  ['a name with ..', ['put', 'a', '--as', 'x/../y'], 2, "the name 'x/../y' has a '.' or '..' segment"],
  ['a name with a slash first', ['put', 'a', '--as', '/etc/passwd'], 2, "the name '/etc/passwd' begins with a slash"],
  ['an empty name', ['put', 'a', '--as', ''], 2, "the name '' is empty"],
  ['a name that is too long', ['put', 'a', '--as', 'é'.repeat(600)], 2, 'has 1200 bytes; at most 1024 are allowed'],
  ['a control character', ['put', 'a', '--as', 'a\u001b[2J'], 2, "the name 'a\\u{1b}[2J' contains a control character"],
  ['one name for two', ['put', 'a', 'a'], 2, "would be published as 'a'"],
  ['--as for two', ['put', 'a', 'folder', '--as', 'x'], 2, '--as is the name of one file'],
  ['public and shared', ['put', 'a', '--visibility', 'public', '--share', 'ann'], 2, '--share makes the file private'],
])('refuses %s without asking anybody', async (_what, argv, exitCode, message) => {
  await mkdir(cli.path('folder'));
  await writeFile(cli.path('a'), 'x');
  const outcome = await cli.run(argv);
  expect(outcome).toMatchObject({ exitCode, stdout: '' });
  expect(outcome.stderr).toContain(message);
  expect(cli.server.calls).toEqual([]);
});

test('shows progress in a terminal and leaves no trace of the bar', async () => {
  await writeFile(cli.path('a'), 'x');
  cli.server.progress = [
    { phase: 'PHASE_STORING', doneBytes: 1, totalBytes: 2 },
    { phase: 'PHASE_REPLICATING', doneBytes: 2, totalBytes: 2, peers: 2 },
  ];
  const { stderr } = await cli.run(['put', 'a'], { isTerminal: true });
  expect(stderr).toContain('\r\u001b[Kstoring [############------------] 50%  1 B of 2 B');
  expect(stderr).toContain(
    '\r\u001b[Kreplicating [########################] 100%  2 B of 2 B  2 copies\r\u001b[Ka: 1 B in',
  );
});

test('shows progress as events when asked to, though quiet', async () => {
  await writeFile(cli.path('a'), 'x');
  cli.server.progress = [{ phase: 'PHASE_STORING', doneBytes: 1, totalBytes: 2 }];
  const { stderr } = await cli.run(['put', 'a', '--quiet', '--progress', 'json']);
  expect(JSON.parse(stderr)).toMatchObject({ event: 'progress', phase: 'storing', doneBytes: 1, totalBytes: 2 });
  expect((await cli.run(['put', 'a', '--quiet'])).stderr).toBe('');
  expect((await cli.run(['put', 'a', '--progress', 'none'])).stderr).toMatch(/^a: 1 B in/);
});

test('tells of a full disk with 9', async () => {
  await writeFile(cli.path('a'), 'x');
  const error = new ShoalError('exhausted', 'the quota is used up', { hint: 'remove files' });
  cli.server.trouble('Put', { kind: 'fail', error });
  expect(await cli.run(['put', 'a'])).toEqual({
    exitCode: 9,
    stdout: '',
    stderr: 'shoal: the quota is used up\nhint: remove files\n',
  });
});

test('stops waiting for standard input when it is interrupted', async () => {
  const stdin = new PassThrough();
  stdin.write(randomBytes(3_000_000));
  const called = cli.server.called('Put');
  const { exitCode } = await cli.run(['put', '-', '--as', 'x'], {
    stdin,
    onStart: (interrupt) => void called.then(interrupt),
  });
  expect(exitCode).toBe(130);
  expect(cli.server.catalogue.files).toEqual([]);
});

test('says that a file changed under its hands rather than that the call was cancelled', async () => {
  cli.server.opensPaths = false;
  await writeFile(cli.path('a'), content);
  const called = cli.server.called('Put');
  const shrinking = called.then(() => truncate(cli.path('a'), 10));
  cli.server.beforeSendData = () => shrinking;
  const { exitCode, stderr } = await cli.run(['put', 'a']);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`the file changed while it was read: ${content.length} bytes before, 10 now`);
  expect(cli.server.catalogue.files).toEqual([]);
});
