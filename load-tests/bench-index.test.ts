import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../common/version.js';

/** It fills a store and starts an index and a process of peers twice, perhaps on a machine that has other work. */
const LIMIT_MS = 180_000;

const onLinux = process.platform === 'linux' ? describe : describe.skip;

function bench(...args: string[]) {
  const script = join(PACKAGE_ROOT, 'load-tests/bench-index.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', cwd: PACKAGE_ROOT, timeout: LIMIT_MS });
}

onLinux('npm run bench:index', () => {
  const place = mkdtempSync(join(tmpdir(), 'shoal-bench-'));
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  const options = ['--files', '2000', '--peers', '20', '--rate', '20', '--seconds', '1', '--beat-seconds', '4'];

  test(
    'measures what it is told to and leaves nothing behind',
    () => {
      const { status, stdout, stderr } = bench(...options, '--dir', place);
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain(`\`npm run bench:index -- ${options.join(' ')}\``);
      expect(stdout).toMatch(/^\| locate, by id \| 2,000 \| \d+\.\d \| \d+\.\d \| \d+\.\d \| \d{4} \| \d\.\d\d \|$/m);
      // A page of a hundred files.
      expect(stdout).toMatch(/^\| list by prefix.* \| \d{5} \| \d\.\d\d \|$/m);
      expect(stdout).toMatch(/^\| holdings announced \| 2,019 \|$/m);
      expect(stdout).toMatch(/^\| a restarted peer announces 2,000 files, s \| \d+\.\d\d \|$/m);
      expect(readdirSync(place)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'keeps the store when it is told to',
    () => {
      const { status, stderr } = bench(...options, '--dir', place, '--keep');
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(readdirSync(join(place, 'bench-index'))).toContain('files-2000');
    },
    LIMIT_MS,
  );

  test('names the option at fault', () => {
    const { status, stderr } = bench('--peers', '20000');
    expect(status).toBe(2);
    expect(stderr).toContain("--peers is '20000', not a whole number from 1 to 15000");
  });

  test('refuses to begin where there is no room', () => {
    const { status, stderr } = bench('--files', '1000000000', '--dir', place);
    expect(status).toBe(1);
    expect(stderr).toMatch(/GiB free, and \d+\.\d GiB are needed; name another place with --dir/);
  });
});
