import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../common/version.js';

/** It starts eight swarms and some fifty commands, perhaps on a machine that has other work. */
const LIMIT_MS = 300_000;

const onLinux = process.platform === 'linux' ? describe : describe.skip;

function bench(...args: string[]) {
  const script = join(PACKAGE_ROOT, 'load-tests/bench-transfer.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', cwd: PACKAGE_ROOT, timeout: LIMIT_MS });
}

onLinux('npm run bench:transfer', () => {
  const place = mkdtempSync(join(tmpdir(), 'shoal-bench-'));
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  test(
    'measures what it is told to and leaves nothing behind',
    () => {
      const options = ['--runs', '2', '--mib', '2', '--commands', '2', '--files', '30', '--door-seconds', '1', '--big'];
      const { status, stdout, stderr } = bench(...options, '--dir', place);
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      const figure = String.raw`\d+(\.\d+)? \(\d+(\.\d+)?-\d+(\.\d+)?\)|\d+\.\d+`;
      expect(stdout).toContain(`\`npm run bench:transfer -- ${options.join(' ')}\``);
      expect(stdout).toContain('### 2 MiB from one peer to another');
      expect(stdout).toMatch(new RegExp(`^\\| \`shoal get\`, until .* \\| (${figure}) \\|`, 'm'));
      expect(stdout).toMatch(new RegExp(`^\\| \`shoal put\` \\| (${figure}) \\|`, 'm'));
      expect(stdout).toMatch(new RegExp(`^A put has (${figure}) of the speed of the slower of the two others`, 'm'));
      expect(stdout).toMatch(/^\| 8 MiB \| \d+ MiB \|/m);
      expect(stdout).toMatch(/^\| a peer, with a session \| \d+ \(\d+-\d+\) \|/m);
      expect(stdout).toMatch(/^\| from a peer that has nothing of it \| \d+\.\d \(/m);
      expect(stdout).toMatch(/^\| `shoal version` \| /m);
      // The file that is published to start with is in the catalogue too.
      expect(stdout).toMatch(/^\| `shoal ls` \| 31 \| /m);
      expect(readdirSync(place)).toEqual([]);
    },
    LIMIT_MS,
  );

  test('names the option at fault', () => {
    const { status, stderr } = bench('--runs', 'many');
    expect(status).toBe(2);
    expect(stderr).toContain("--runs is 'many', not a whole number from 1 to 99");
  });

  test('refuses to begin where there is no room', () => {
    const { status, stderr } = bench('--mib', String(2 ** 20), '--dir', place);
    expect(status).toBe(1);
    expect(stderr).toMatch(/GiB free, and \d+\.\d GiB are needed; name another place with --dir/);
    expect(readdirSync(place)).toEqual([]);
  });
});
