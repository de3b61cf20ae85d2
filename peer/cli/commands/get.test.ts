import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { ShoalError } from '../../../common/errors.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const content = randomBytes(1_234_567);

/** What is in the folder, the daemon's socket left out. */
async function files(folder = '.'): Promise<string[]> {
  return (await readdir(cli.path(folder))).filter((name) => name !== 'control.sock').sort();
}

describe.each([
  ['the daemon fills the file', true],
  ['the daemon sends the bytes', false],
])('when %s', (_how, opensPaths) => {
  beforeEach(() => {
    cli.server.opensPaths = opensPaths;
  });

  test('saves under the last part of the name and prints the path', async () => {
    cli.server.catalogue.add('models/7b.bin', content);
    const { exitCode, stdout, stderr } = await cli.run(['get', 'models/7b.bin']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '7b.bin\n' });
    expect(stderr).toMatch(/^models\/7b\.bin: 1\.2 MiB in .* s \(.*\/s\), from 2 peers\n$/);
    expect((await readFile(cli.path('7b.bin'))).equals(content)).toBe(true);
    expect((await stat(cli.path('7b.bin'))).mode & 0o777).toBe(0o644);
    expect(await files()).toEqual(['7b.bin']);
  });

  test('saves an empty file', async () => {
    cli.server.catalogue.add('empty', '');
    expect((await cli.run(['get', 'empty'])).exitCode).toBe(0);
    expect((await stat(cli.path('empty'))).size).toBe(0);
  });

  test('knows the name of a file that is asked for by id', async () => {
    const { entry } = cli.server.catalogue.add('dir/a b', content);
    expect((await cli.run(['get', entry.id])).stdout).toBe('a b\n');
    expect(await files()).toEqual(['a b']);
  });

  test('leaves nothing behind, and what was there, when bytes are missing', async () => {
    cli.server.catalogue.add('a', content);
    await writeFile(cli.path('a'), 'older');
    cli.server.withheldBytes = 1;
    const { exitCode, stdout, stderr } = await cli.run(['get', 'a']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 6, stdout: '' });
    expect(stderr).toContain('shoal: a has 1234567 bytes, and 1234566 came\n');
    expect(await files()).toEqual(['a']);
    expect(await readFile(cli.path('a'), 'utf8')).toBe('older');
  });

  test('leaves nothing behind when it is interrupted', async () => {
    cli.server.catalogue.add('a', content);
    cli.server.trouble('GetEnd', { kind: 'silent' });
    const sent = cli.server.called('GetEnd');
    const { exitCode } = await cli.run(['get', 'a'], { onStart: (interrupt) => void sent.then(interrupt) });
    expect(exitCode).toBe(130);
    expect(await files()).toEqual([]);
  });

  test('leaves nothing behind when its time is over', async () => {
    cli.server.catalogue.add('a', content);
    cli.server.trouble('GetEnd', { kind: 'silent' });
    expect((await cli.run(['get', 'a', '--timeout', '0.2'])).exitCode).toBe(7);
    expect(await files()).toEqual([]);
  });
});

describe('where it goes', () => {
  beforeEach(() => {
    cli.server.catalogue.add('dir/a', content);
  });

  test.each([
    ['to another name', ['--to', 'b'], 'b'],
    ['to a file in a folder', ['--to', 'folder/b'], 'folder/b'],
    ['into a folder', ['--to', 'folder'], 'folder/a'],
    ['into a folder with a slash', ['--to', 'folder/'], 'folder/a'],
    ['into the current folder', ['--to', '.'], 'a'],
  ])('%s', async (_how, options, path) => {
    await mkdir(cli.path('folder'));
    expect((await cli.run(['get', 'dir/a', ...options])).stdout).toBe(`${path}\n`);
    expect((await readFile(cli.path(path))).equals(content)).toBe(true);
  });

  test('to standard output, which then carries nothing else', async () => {
    for (const argv of [
      ['get', 'dir/a', '--to', '-'],
      ['get', 'dir/a', '--to', '/dev/stdout'],
      ['cat', 'dir/a'],
    ]) {
      const taken: Buffer[] = [];
      const stdout = new Writable({
        write: (chunk: Buffer, _encoding, done) => done(void taken.push(Buffer.from(chunk)) as never),
      });
      const { exitCode, stderr } = await cli.run(argv, { stdout });
      expect(exitCode).toBe(0);
      expect(Buffer.concat(taken).equals(content)).toBe(true);
      expect(stderr).toMatch(/^dir\/a: 1\.2 MiB in .*\nsha256 [0-9a-f]{64}\n$/);
    }
    expect(await files()).toEqual([]);
  });

  test('over a file that is there, at once and with its permissions, through a link', async () => {
    await writeFile(cli.path('real'), 'older');
    await chmod(cli.path('real'), 0o640);
    await symlink('real', cli.path('link'));
    expect((await cli.run(['get', 'dir/a', '--to', 'link'])).exitCode).toBe(0);
    expect(await readlink(cli.path('link'))).toBe('real');
    expect((await readFile(cli.path('real'))).equals(content)).toBe(true);
    expect((await stat(cli.path('real'))).mode & 0o777).toBe(0o640);
  });

  test('to a device', async () => {
    expect((await cli.run(['get', 'dir/a', '--to', '/dev/null'])).stdout).toBe('/dev/null\n');
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  test('to a named pipe that nobody reads, until it is interrupted', async () => {
    await promisify(execFile)('mkfifo', [cli.path('pipe')]);
    const onStart = (interrupt: () => void) => void setImmediate(interrupt);
    const outcome = await cli.run(['get', 'a', '--to', 'pipe'], { onStart });
    expect(outcome).toEqual({ exitCode: 130, stdout: '', stderr: 'shoal: interrupted\n' });
  });

  test('to a named pipe', async () => {
    await promisify(execFile)('mkfifo', [cli.path('pipe')]);
    const [read, { exitCode }] = await Promise.all([
      readFile(cli.path('pipe')),
      cli.run(['get', 'dir/a', '--to', 'pipe']),
    ]);
    expect(exitCode).toBe(0);
    expect(read.equals(content)).toBe(true);
  });

  test.each([
    ['a folder that is not there', ['--to', 'none/'], 3, 'there is no folder none/'],
    ['a file in a folder that is not there', ['--to', 'none/b'], 3, 'there is no folder none'],
    ['nothing', ['--to', ''], 2, '--to is empty'],
    ['a socket', ['--to', 'control.sock'], 8, 'control.sock is there and is not a regular file'],
    ['a file in what is no folder', ['--to', 'control.sock/b'], 2, 'cannot write there: ENOTDIR'],
  ])('not to %s', async (_what, options, exitCode, message) => {
    const outcome = await cli.run(['get', 'dir/a', ...options]);
    expect(outcome).toMatchObject({ exitCode, stdout: '' });
    expect(outcome.stderr).toContain(message);
    expect(cli.server.calls).toEqual([]);
  });

  test('not over a folder that has the name of the file', async () => {
    await mkdir(cli.path('a'));
    const { exitCode, stderr } = await cli.run(['get', 'dir/a']);
    expect(exitCode).toBe(8);
    expect(stderr).toContain('shoal: a is there and is not a regular file\nhint: say another place with --to PATH\n');
    expect(await files()).toEqual(['a']);
  });

  test('not outside the folder, whatever name the daemon tells', async () => {
    const { entry } = cli.server.catalogue.add('dir/..', 'x');
    const { exitCode } = await cli.run(['get', entry.id]);
    expect(exitCode).toBe(6);
    expect(await files()).toEqual([]);
  });
});

test('shows what it fetched in every format', async () => {
  const { entry, sha256 } = cli.server.catalogue.add('a', content);
  const fetched = { path: 'a', id: entry.id, name: 'a', owner: 'shoal', size: content.length, sha256, peers: 2 };
  const json = JSON.parse((await cli.run(['get', 'a', '-o', 'json'])).stdout) as Record<string, unknown>;
  expect(json).toEqual({ ...fetched, receivedBytes: content.length, seconds: expect.any(Number) });
  expect(JSON.parse((await cli.run(['get', 'a', '-o', 'jsonl'])).stdout)).toMatchObject(fetched);
  expect((await cli.run(['get', 'a', '-o', 'name'])).stdout).toBe('a\n');
});

test('tells what was not found and makes no file', async () => {
  const { exitCode, stderr } = await cli.run(['get', 'none']);
  expect(exitCode).toBe(3);
  expect(stderr).toBe("shoal: there is no file 'none'\nhint: list them with: shoal ls\n");
  expect(await files()).toEqual([]);
});

test('tells that every copy is corrupt with 6', async () => {
  cli.server.catalogue.add('a', content);
  cli.server.trouble('Get', { kind: 'fail', error: new ShoalError('corrupt', 'every copy of a is corrupt') });
  expect(await cli.run(['get', 'a'])).toMatchObject({ exitCode: 6, stderr: 'shoal: every copy of a is corrupt\n' });
  expect(await files()).toEqual([]);
});

test('gives the fetch up when nobody reads its output any more', async () => {
  cli.server.catalogue.add('big', randomBytes(20_000_000));
  let takenBytes = 0;
  const head = new Writable({
    write(chunk: Buffer, _encoding, done) {
      takenBytes += chunk.length;
      done(takenBytes > 1_000_000 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null);
    },
  });
  const { exitCode, stderr } = await cli.run(['cat', 'big'], { stdout: head });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(takenBytes).toBeLessThan(3_000_000);
});

test('says what was here already', async () => {
  cli.server.catalogue.add('a', content);
  cli.server.receivedBytes = 1024;
  expect((await cli.run(['get', 'a'])).stderr).toContain('1.0 KiB of it from 2 peers\n');
  cli.server.receivedBytes = 0;
  expect((await cli.run(['get', 'a'])).stderr).toContain('all of it was here\n');
});

test('saves a name of 255 bytes, and says so when it is longer', async () => {
  cli.server.catalogue.add('é'.repeat(127), 'x');
  expect((await cli.run(['get', 'é'.repeat(127)])).exitCode).toBe(0);
  cli.server.catalogue.add('a'.repeat(256), 'x');
  const { exitCode, stderr } = await cli.run(['get', 'a'.repeat(256)]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('hint: say another place with --to PATH');
  expect(await files()).toEqual(['é'.repeat(127)]);
});

test('shows how far it is, one line in a terminal, plain elsewhere', async () => {
  cli.server.catalogue.add('a', content);
  const half = { phase: 'PHASE_FETCHING', doneBytes: 617_283, totalBytes: 1_234_567, peers: 2 } as const;
  cli.server.progress = [half];
  expect((await cli.run(['get', 'a'], { isTerminal: true })).stderr).toContain(
    '\r\u001b[Kfetching [###########-------------] 49%  603 KiB of 1.2 MiB  2 peers\r\u001b[Ka: 1.2 MiB',
  );
  cli.server.progress = [{ ...half, doneBytes: 0 }, half];
  const elsewhere = await cli.run(['get', 'a'], { now: ticking() });
  expect(elsewhere.stderr).toMatch(/^fetching: 49%, 603 KiB of 1\.2 MiB, .*2 peers\na: 1\.2 MiB/);
  expect((await cli.run(['get', 'a'], { isTerminal: true, env: { TERM: 'dumb' } })).stderr).not.toContain('\r');
});

/** A clock on which a second passes from one look to the next. */
function ticking(): () => number {
  let nowMs = 0;
  return () => {
    nowMs += 1_000;
    return nowMs;
  };
}
