import { ShoalError } from '../../../common/errors.js';
import { VERSION } from '../../../common/version.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

test('peers lists them, with and without ls', async () => {
  const table = [
    'NAME    ADDRESS         STATE  FILES     USED     FREE  VERSION',
    `peer-1  127.0.0.1:4999  live       0  3.0 GiB  6.0 TiB  ${VERSION}`,
    `peer-2  127.0.0.1:4999  gone       0      0 B      0 B  ${VERSION}`,
    '',
  ].join('\n');
  for (const argv of [['peers'], ['peers', 'ls']]) {
    expect(await cli.run(argv)).toEqual({ exitCode: 0, stdout: table, stderr: '' });
  }
  const { peers } = JSON.parse((await cli.run(['peers', '-o', 'json'])).stdout) as { peers: unknown[] };
  expect(peers[0]).toEqual({
    name: 'peer-1',
    address: '127.0.0.1:4999',
    state: 'live',
    files: 0,
    bytesUsed: 3 * 1024 ** 3,
    bytesFree: 6 * 1024 ** 4,
    version: VERSION,
  });
  expect((await cli.run(['peers', '-o', 'name'])).stdout).toBe('peer-1\npeer-2\n');
});

test('peers ping tells how long it took', async () => {
  expect((await cli.run(['peers', 'ping', 'peer-2'])).stdout).toBe(
    `peer-2 127.0.0.1:4998: connected in 1.9 ms, round trip 0.4 ms, version ${VERSION}\n`,
  );
  expect(JSON.parse((await cli.run(['peers', 'ping', 'peer-2', '-o', 'json'])).stdout)).toEqual({
    peer: 'peer-2',
    address: '127.0.0.1:4998',
    connectMs: 1.94,
    roundTripMs: 0.41,
    version: VERSION,
  });
  expect((await cli.run(['peers', 'ping', 'peer-9'])).exitCode).toBe(3);
});

test('status fits on one screen', async () => {
  expect((await cli.run(['status'])).stdout).toBe(
    [
      'peer:       peer-1 (127.0.0.1:4999)',
      'state:      live',
      `version:    ${VERSION}`,
      'up:         2h01m',
      'index:      http://127.0.0.1:5000, reachable',
      'swarm:      3 live peers',
      'files:      0',
      'storage:    1.0 KiB used, 2.0 KiB free, no quota',
      'transfers:  0 fetches, serving 0 streams',
      'traffic:    0 B received, 0 B sent',
      '',
    ].join('\n'),
  );
  expect(JSON.parse((await cli.run(['status', '-o', 'json'])).stdout)).toMatchObject({
    peer: 'peer-1',
    indexReachable: true,
    indexError: null,
    quotaBytes: null,
    bytesFree: 2048,
  });
});

describe('doctor', () => {
  test('exits with 0 when nothing failed', async () => {
    const { exitCode, stdout } = await cli.run(['doctor']);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      [
        'CHECK           RESULT  DETAIL',
        "session         ok      nobody is logged in: commands act as the peer's own account",
        `control socket  ok      peer-1 answers at ${cli.server.socketPath}`,
        'index           ok      answers',
        '',
      ].join('\n'),
    );
  });

  test('exits with 1 when a check failed, and says what to do', async () => {
    cli.server.catalogue.checks.push({
      name: 'disk',
      result: 'CHECK_RESULT_FAILED',
      detail: '1 MiB free',
      hint: 'free some space',
    });
    const { exitCode, stdout } = await cli.run(['doctor']);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('disk            failed  1 MiB free\n                        hint: free some space\n');
    expect((await cli.run(['doctor', '-o', 'name'])).stdout).toBe('disk\n');
  });

  test('only warns about another version', async () => {
    cli.server.catalogue.version = '9.9.9';
    const { exitCode, stdout } = await cli.run(['doctor', '-o', 'json']);
    expect(exitCode).toBe(0);
    expect((JSON.parse(stdout) as { checks: unknown[] }).checks[1]).toMatchObject({
      name: 'control socket',
      result: 'warning',
      detail: expect.stringContaining('version 9.9.9'),
    });
  });

  test('works with the daemon down, and exits with 5', async () => {
    cli.server.stop();
    const { exitCode, stdout } = await cli.run(['doctor', '-o', 'json']);
    expect(exitCode).toBe(5);
    expect((JSON.parse(stdout) as { checks: unknown[] }).checks).toMatchObject([
      { name: 'session', result: 'ok' },
      { name: 'control socket', result: 'failed', hint: expect.stringContaining('npm start') },
    ]);
  });

  test('tells of what the daemon refuses, and goes no further', async () => {
    cli.server.trouble('Status', { kind: 'fail', error: new ShoalError('denied', 'not for you') });
    const { exitCode, stdout } = await cli.run(['doctor', '-o', 'jsonl']);
    expect(exitCode).toBe(4);
    expect(JSON.parse(stdout.trimEnd().split('\n')[1] ?? '')).toMatchObject({
      result: 'failed',
      detail: 'not for you',
    });
  });

  test('is no finding when it is interrupted', async () => {
    cli.server.trouble('Status', { kind: 'silent' });
    expect(await cli.run(['doctor', '--timeout', '0.05'])).toMatchObject({ exitCode: 7, stdout: '' });
  });
});
