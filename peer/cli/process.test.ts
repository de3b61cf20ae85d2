import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT, VERSION } from '../../common/version.js';
import { CliHarness } from '../testing/cli-harness.js';

/*
 * The command as people run it: a process of its own, from the build that `npm test` makes first.
 */

const run = promisify(execFile);
const CLI = join(PACKAGE_ROOT, 'dist/peer/cli.js');

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

function shoal(...argv: string[]): ChildProcess & { stdin: NonNullable<ChildProcess['stdin']> } {
  const child = spawn(process.execPath, [CLI, ...argv], {
    cwd: cli.dir,
    env: { PATH: process.env['PATH'], ...cli.env },
    stdio: 'pipe',
  });
  return child;
}

/** Everything that a process writes until it ends, and how it ends. */
async function outcome(child: ChildProcess) {
  const [[exitCode], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { exitCode, stdout, stderr };
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test('runs, prints and ends by itself', async () => {
  expect(await outcome(shoal('version'))).toEqual({ exitCode: 0, stdout: `shoal ${VERSION}\n`, stderr: '' });
});

test.each(['version', 'ls'])('%s does not load grpc-js, nor proto-loader', async (command) => {
  const script = `
    process.argv = [process.execPath, 'shoal', '${command}'];
    await import(${JSON.stringify(CLI)});
    const { createRequire } = await import('node:module');
    const loaded = Object.keys(createRequire(${JSON.stringify(CLI)}).cache);
    console.log('loaded', loaded.some((path) => path.includes('@grpc')));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { env: cli.env });
  expect((await outcome(child)).stdout).toContain('loaded false\n');
});

test('publishes a pipe and writes to one, every byte', async () => {
  const content = randomBytes(3_000_000);
  const put = shoal('put', '-', '--as', 'a');
  put.stdin.end(content);
  const id = createHash('sha256').update(content).digest('hex');
  expect(await outcome(put)).toMatchObject({ exitCode: 0, stdout: `${id}\n` });
  const cat = shoal('cat', 'a');
  const hash = createHash('sha256');
  cat.stdout?.on('data', (chunk: Buffer) => hash.update(chunk));
  const [exitCode] = (await once(cat, 'close')) as [number];
  expect({ exitCode, sha256: hash.digest('hex') }).toEqual({ exitCode: 0, sha256: id });
});

test('ends quietly when its reader leaves', async () => {
  cli.server.catalogue.add('a', 'line\n'.repeat(4_000_000));
  const { stdout, stderr } = await run(
    'bash',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
    ['--norc', '-c', '"$0" "$1" cat a | head -1; echo "${PIPESTATUS[0]}"', process.execPath, CLI],
    { cwd: cli.dir, env: { PATH: process.env['PATH'], ...cli.env } },
  );
  expect({ stdout, stderr }).toEqual({ stdout: 'line\n0\n', stderr: '' });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('cleans up on %s', async (signal) => {
  cli.server.catalogue.add('a', randomBytes(100_000));
  cli.server.trouble('GetEnd', { kind: 'silent' });
  const sent = cli.server.called('GetEnd');
  const get = shoal('get', 'a');
  const ended = outcome(get);
  await sent;
  expect((await readdir(cli.dir)).filter((name) => name.startsWith('.a.shoal-'))).toHaveLength(1);
  get.kill(signal);
  expect(await ended).toEqual({ exitCode: 130, stdout: '', stderr: 'shoal: interrupted\n' });
  expect(await readdir(cli.dir)).toEqual(['control.sock']);
});

test.each([
  ['SIGINT', [], { exitCode: 130, stderr: 'shoal: interrupted\n' }],
  [undefined, ['--timeout', '1'], { exitCode: 7, stderr: 'shoal: took longer than the 1 s of --timeout\n' }],
] as const)('ends on %s %j though its reader does not read', async (signal, args, expected) => {
  // More than the pipe and all buffers on the way take.
  cli.server.catalogue.add('a', randomBytes(30_000_000));
  const cat = shoal('cat', 'a', ...args);
  // Not "close", which comes when all is read.
  const exit = once(cat, 'exit') as Promise<[number | null]>;
  const stderr = text(cat.stderr);
  await once(cat.stdout ?? cat, 'readable');
  if (signal !== undefined) cat.kill(signal);
  const [exitCode] = await exit;
  expect({ exitCode, stderr: await stderr }).toEqual(expected);
});

test('ends on SIGINT though the reader of its named pipe does not read', async () => {
  cli.server.catalogue.add('a', randomBytes(10_000_000));
  const fifo = cli.path('fifo');
  await run('mkfifo', [fifo]);
  // Both ends: it is opened without waiting for anybody.
  const end = await open(fifo, 'r+');
  const get = shoal('get', 'a', '--to', fifo);
  const ended = outcome(get);
  await end.read(Buffer.alloc(1));
  get.kill('SIGINT');
  expect(await ended).toEqual({ exitCode: 130, stdout: '', stderr: 'shoal: interrupted\n' });
  await end.close();
});

test('ends while standard input is still open', async () => {
  const put = shoal('put', '-', '--as', 'a', '--timeout', '0.5');
  expect((await outcome(put)).exitCode).toBe(7);
});

test('says on one line what is wrong with the environment of a program', async () => {
  const child = spawn(process.execPath, [CLI, 'peer'], {
    cwd: cli.dir,
    env: { PATH: process.env['PATH'], SHOAL_GRPC_PORT: 'x', SHOAL_DATA_DIR: 'data' },
  });
  const { exitCode, stderr } = await outcome(child);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("shoal: the environment is wrong: SHOAL_GRPC_PORT is 'x'");
});
