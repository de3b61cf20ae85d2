import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createProgram } from '../program.js';
import { bashScript } from './bash.js';
import { fishScript } from './fish.js';
import { commandsOf, outlineOf } from './outline.js';
import { zshScript } from './zsh.js';

const run = promisify(execFile);

const io = {
  stdin: process.stdin,
  stdinFd: undefined,
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: '/',
  umask: 0,
  now: () => 0,
  onInterrupt: () => () => undefined,
  dropOutput: () => undefined,
};
const outline = outlineOf(createProgram({ io, env: {}, execute: () => Promise.resolve() }));
const scripts = { bash: bashScript(outline), zsh: zshScript(outline), fish: fishScript(outline) };

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-completion-'));
  for (const [shell, script] of Object.entries(scripts)) await writeFile(join(dir, shell), script);
  await writeFile(join(dir, 'a file.bin'), '');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['-c', 'true']).status === 0;
}

/** What bash offers for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout } = await run(
    'bash',
    [
      '--norc',
      '-c',
      // `compopt` works only while the shell itself completes, which this is not.
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
      'compopt() { :; }; source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shoal; printf "%s\\n" "${COMPREPLY[@]}"',
      join(dir, 'bash'),
      'shoal',
      ...words,
    ],
    { cwd: dir },
  );
  return stdout.split('\n').filter((line) => line !== '');
}

describe.each(['bash', 'zsh', 'fish'] as const)('the script for %s', (shell) => {
  // Without the shell there is still what every script must contain.
  (isInstalled(shell) ? test : test.skip)('is valid', async () => {
    const { stderr } = await run(shell, ['-n', join(dir, shell)]);
    expect(stderr).toBe('');
  });

  test('knows every command and every option', () => {
    for (const { chain, options } of commandsOf(outline)) {
      expect(scripts[shell]).toContain(chain.join(' '));
      for (const option of options) {
        const long = option.flags.find((flag) => flag.startsWith('--')) ?? '';
        expect(scripts[shell]).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
      }
    }
  });
});

describe('bash offers', () => {
  test('commands', async () => {
    expect(await offered('p')).toEqual(['put', 'peers', 'passwd', 'peer']);
    expect(await offered('-o', 'json', 's')).toEqual(['stat', 'share', 'status']);
    expect(await offered('peers', '')).toEqual(['ls', 'ping']);
  });

  test('options of the command and those of all', async () => {
    expect(await offered('get', '--t')).toEqual(['--to', '--timeout']);
    expect(await offered('peers', 'ping', '--q')).toEqual(['--quiet']);
  });

  test('the values of options that have fixed ones', async () => {
    expect(await offered('ls', '-o', 'j')).toEqual(['json', 'jsonl']);
    expect(await offered('put', 'x', '--visibility', '')).toEqual(['public', 'private']);
    expect(await offered('ls', '--owner', '')).toEqual([]);
    expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  test('paths where they go, spaces and all', async () => {
    expect(await offered('put', 'a')).toEqual(['a file.bin']);
    expect(await offered('get', 'x', '--to', 'a')).toEqual(['a file.bin']);
    expect(await offered('get', 'a')).toEqual([]);
  });
});
