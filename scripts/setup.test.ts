import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { requireNode, root } from './setup.mjs';

// Each runs the compiler, some of them three times.
import.meta.jest.setTimeout(60_000);

/** A clone with one source, one proto and the packages that set-up itself runs. */
async function makeClone(): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), 'shoal-setup-'));
  for (const folder of ['scripts', 'proto', 'peer', 'node_modules/@grpc']) {
    await mkdir(join(clone, folder), { recursive: true });
  }
  for (const file of [
    'scripts/setup.mjs',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ]) {
    await cp(join(root, file), join(clone, file));
  }
  await cp(join(root, 'node_modules/.package-lock.json'), join(clone, 'node_modules/.package-lock.json'));
  for (const name of ['typescript', '@grpc/proto-loader', '@types']) {
    await symlink(join(root, 'node_modules', name), join(clone, 'node_modules', name));
  }
  await writeFile(join(clone, 'proto/greeting.proto'), 'syntax = "proto3"; package g; message Hello { int64 at = 1; }');
  await writeFile(join(clone, 'peer/cli.ts'), '#!/usr/bin/env node\nconsole.log("first" as string);\n');
  return clone;
}

async function run(
  command: string,
  args: readonly string[],
): Promise<{ code: number | null; out: string; err: string }> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], out, err] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    child.stdout ? text(child.stdout) : '',
    child.stderr ? text(child.stderr) : '',
  ]);
  return { code, out, err };
}

describe('set-up', () => {
  let clone: string;
  const setUp = () => run(process.execPath, [join(clone, 'scripts/setup.mjs')]);
  const shoal = () => run(join(clone, 'node_modules/.bin/shoal'), []);

  beforeEach(async () => {
    clone = await makeClone();
  });

  afterEach(() => rm(clone, { recursive: true, force: true }));

  test('makes what is missing, then has nothing to do or say', async () => {
    expect(await setUp()).toEqual({
      code: 0,
      out: '',
      err: 'set-up: generating gRPC types ...\nset-up: building ...\n',
    });
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
    expect(await readFile(join(clone, 'proto/gen/g/Hello.ts'), 'utf8')).toContain("'at': (number)");
    expect(await setUp()).toEqual({ code: 0, out: '', err: '' });
  });

  test('builds again when a source changed, and forgets what is gone', async () => {
    await writeFile(join(clone, 'peer/gone.ts'), 'export const gone = true;\n');
    await setUp();
    await rm(join(clone, 'peer/gone.ts'));
    await writeFile(join(clone, 'peer/cli.ts'), '#!/usr/bin/env node\nconsole.log("second");\n');
    expect(await setUp()).toMatchObject({ code: 0, err: 'set-up: building ...\n' });
    expect(await shoal()).toMatchObject({ code: 0, out: 'second\n' });
    await expect(access(join(clone, 'dist/peer/gone.js'))).rejects.toThrow('ENOENT');
  });

  test('works once when two begin together', async () => {
    const results = await Promise.all([setUp(), setUp()]);
    expect(results.map((result) => result.code)).toEqual([0, 0]);
    expect(
      results
        .map((result) => result.err)
        .join('')
        .match(/building/g),
    ).toHaveLength(1);
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
  });

  test('is not held up by one that was killed', async () => {
    const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(dead, 'close');
    await writeFile(join(clone, '.setup.lock'), String(dead.pid));
    expect(await setUp()).toMatchObject({ code: 0 });
  });

  test('says what failed and keeps the build that works', async () => {
    await setUp();
    await writeFile(join(clone, 'peer/cli.ts'), 'console.log(;\n');
    const result = await setUp();
    expect(result.code).toBe(1);
    expect(result.err).toContain('peer/cli.ts(1,13): error TS');
    expect(result.err).toMatch(/set-up: failed \(exit code \d\): node .*tsc/);
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
  });
});

test.each(['18.20.4', '20.18.3', '8.0.0'])('Node %s is refused by name', (version) => {
  expect(() => requireNode(version)).toThrow(`Shoal needs Node 20.19 or newer, and this is Node ${version}`);
});

test.each(['20.19.0', '22.1.0', '24.0.0'])('Node %s will do', (version) => {
  expect(() => requireNode(version)).not.toThrow();
});
