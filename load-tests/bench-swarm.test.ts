import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../common/version.js';

const LIMIT_MS = 120_000;
const hasMeans = process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/usr/sbin/tc');
const withMeans = hasMeans ? describe : describe.skip;

function bench(args: readonly string[], how: { readonly uid?: number; readonly env?: NodeJS.ProcessEnv } = {}) {
  const script = join(PACKAGE_ROOT, 'load-tests/bench-swarm.mjs');
  const options = { encoding: 'utf8', cwd: PACKAGE_ROOT, timeout: LIMIT_MS, ...how } as const;
  return spawnSync(process.execPath, [script, ...args], options);
}

withMeans('npm run bench:swarm, as root', () => {
  const place = mkdtempSync(join(tmpdir(), 'shoal-bench-'));
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  test(
    'measures a small crowd and leaves nothing behind',
    () => {
      const args = ['--systems', 'shoal,curl', '--peers', '2', '--mbit', '200', '--mib', '2', '--runs', '1'];
      const { status, stdout, stderr } = bench([...args, '--dir', place]);
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('### 2 MiB to 2 peers at 200 Mbit/s');
      expect(stdout).toMatch(
        /^\| Shoal \| 1 \| 2 of 2 \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d \| -?\d+\.\d \| \d+\.\d \|$/m,
      );
      expect(readdirSync(place)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'measures a small folder, and every file of it comes',
    () => {
      const size = ['--peers', '2', '--mbit', '200', '--mib', '1', '--files', '130'];
      const args = ['--systems', 'shoal,curl,rsync', ...size, '--runs', '1', '--dir', place];
      const { status, stdout, stderr } = bench(args);
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('### 130 files of 8,065 bytes to 2 peers at 200 Mbit/s');
      expect(stdout).toMatch(/^\| Shoal \| 1 \| 2 of 2 \|/m);
      expect(stdout).toMatch(
        /^- Shoal: publishing took \d+\.\d s before that; no program at a node took more than \d+ MiB of memory\.$/m,
      );
    },
    LIMIT_MS,
  );

  test(
    'tells of a program that crashes, and measures the others',
    () => {
      const bin = mkdtempSync(join(tmpdir(), 'shoal-bin-'));
      writeFileSync(join(bin, 'aria2c'), '#!/bin/sh\necho no such luck >&2\nkill -s SEGV $$\n', { mode: 0o755 });
      const args = ['--systems', 'shoal,aria2,curl', '--peers', '2', '--mbit', '200', '--mib', '1', '--runs', '1'];
      const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}` };
      const { status, stdout, stderr } = bench([...args, '--dir', place], { env });
      rmSync(bin, { recursive: true });
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^\| Shoal \| 1 \| 2 of 2 \|/m);
      expect(stdout).toMatch(/^\| aria2, tuned \| 0, then failed \| - \|/m);
      expect(stdout).toMatch(
        /^- aria2, tuned: run 1 failed, and there were no more: .*aria2c failed \(SIGSEGV\): no such luck\.$/m,
      );
      expect(stdout).toMatch(/^\| nginx[^|]*\| 1 \| 2 of 2 \|/m);
      expect(readdirSync(place)).toEqual([]);
    },
    LIMIT_MS,
  );

  test('says that it must run as root where it does not', () => {
    const { status, stderr } = bench(['--dir', place], { uid: 65534 });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('for which it must run as root') as string,
    });
  });
});

describe('npm run bench:swarm', () => {
  test.each([
    [['--runs', 'many'], "--runs is 'many', not a whole number from 1 to 99"],
    [['--scenario', 'crowd-5'], "--scenario has 'crowd-5', which is none of crowd-4, "],
    [['--systems', 'ftp'], "--systems has 'ftp', which is none of shoal, curl, rsync, aria2, libtorrent"],
    [['--shaper', 'cake'], "--shaper has 'cake', which is none of tbf, htb, userland"],
    [['--peers', '3'], '--peers, --mbit and --mib go together'],
    [['--all', '--scenario', 'crowd-4'], '--all and --scenario exclude each other'],
  ])('refuses %j by name', (args, message) => {
    const { status, stderr } = bench(args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  test('names its scenarios', () => {
    const { status, stdout } = bench(['--list']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^crowd-4 +64 MiB to 4 peers at 100 Mbit\/s$/m);
  });
});
