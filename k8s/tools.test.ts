import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';
import { run } from '../scripts/testing/clone.js';

/* What people see whose machine lacks something: which program, and where to get it. */

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-tools-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs a script where only the programs in `folder` are on the PATH. */
function script(name: string, ...args: string[]) {
  return run('/usr/bin/env', [`PATH=${folder}`, process.execPath, join(root, 'k8s', name), ...args]);
}

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

test.each(['kind.mjs', 'e2e.mjs'])('%s names every program that is missing, and where to get it', async (name) => {
  await program('kubectl', 'exit 0');
  const { code, err } = await script(name);
  expect(code).toBe(1);
  const lines = err.trimEnd().split('\n');
  expect(lines.map((line) => /: (\w+) is not installed, .*: see https:\/\//.exec(line)?.[1])).toEqual([
    'docker',
    'kind',
    'helm',
  ]);
});

test('a Docker that does not run is told from one that is not there', async () => {
  for (const name of ['kind', 'kubectl', 'helm']) await program(name, 'exit 0');
  await program('docker', '[ "$1" = --help ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }');
  const { code, err } = await script('kind.mjs');
  expect(code).toBe(1);
  expect(err).toMatch(/Docker engine does not answer \(Cannot connect to the Docker daemon\): start Docker/);
});

test('a command that fails is named with what it said, and ends the script', async () => {
  for (const name of ['docker', 'kubectl', 'helm']) await program(name, 'exit 0');
  await program('kind', '[ "$1" = --help ] || { echo "no such thing as kind"; exit 4; }');
  const { code, err } = await script('kind.mjs');
  expect(code).toBe(1);
  expect(err).toContain('kind get clusters: exit code 4\nno such thing as kind');
});

test('kind.mjs refuses options that it does not know, and shows those it knows', async () => {
  const { code, err } = await script('kind.mjs', '--nodes', '3');
  expect(code).toBe(2);
  expect(err).toContain('--nodes');
  expect(err).toContain('--namespace NAME');
});
