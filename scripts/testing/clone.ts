import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { root } from '../setup.mjs';

/** Makes a small clone: the real scripts, the packages that set-up itself runs, one proto, and `cli` as the program. */
export async function makeClone(cli: string): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), 'shoal-clone-'));
  for (const folder of ['scripts', 'proto', 'peer', 'node_modules/@grpc']) {
    await mkdir(join(clone, folder), { recursive: true });
  }
  const scripts = (await readdir(join(root, 'scripts'))).filter((name) => name.endsWith('.mjs'));
  const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const file of [...files, ...scripts.map((name) => join('scripts', name)), 'node_modules/.package-lock.json']) {
    await cp(join(root, file), join(clone, file));
  }
  for (const name of ['typescript', '@grpc/proto-loader', 'protobufjs', '@types']) {
    await symlink(join(root, 'node_modules', name), join(clone, 'node_modules', name));
  }
  await writeFile(join(clone, 'proto/greeting.proto'), 'syntax = "proto3"; package g; message Hello { int64 at = 1; }');
  await writeFile(join(clone, 'peer/cli.ts'), cli);
  return clone;
}

/** Runs a command to its end. */
export async function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], out, err] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, out, err };
}
