import { readFile, stat, writeFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { ShoalError } from '../../../common/errors.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const UNTIL = '2026-02-02T03:04:05.000Z';

async function storedSession(): Promise<unknown> {
  return JSON.parse(await readFile(cli.path('session'), 'utf8'));
}

function login(user = 'ann') {
  cli.server.catalogue.passwords.set(user, 'a password');
  return cli.run(['login', user], { env: { SHOAL_PASSWORD: 'a password' } });
}

/** A terminal in which each line is typed when it is asked for. */
function typing(...lines: string[]) {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode(isRaw: boolean) {
      if (isRaw) stdin.write(`${lines.shift() ?? '\u0003'}\r`);
    },
  });
  return stdin;
}

test('register makes an account and logs in, the session for its owner alone', async () => {
  const { exitCode, stdout, stderr } = await cli.run(['register', 'ann', '--password-stdin'], {
    stdin: 'long enough\n',
  });
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 0,
    stdout: '',
    stderr: `registered ann; logged in until ${UNTIL}\n`,
  });
  expect(cli.server.catalogue.passwords.get('ann')).toBe('long enough');
  expect(await storedSession()).toEqual({ username: 'ann', token: 'session-1-of-ann', expiresAt: UNTIL });
  expect((await stat(cli.path('session'))).mode & 0o777).toBe(0o600);
});

test('later commands act for who is logged in', async () => {
  await login();
  await cli.run(['ls']);
  expect(cli.server.calls.at(-1)).toMatchObject({ method: 'List', authorization: 'Bearer session-1-of-ann' });
  expect(await cli.run(['whoami'])).toEqual({ exitCode: 0, stdout: 'ann\n', stderr: `until ${UNTIL}\n` });
});

test('nobody being logged in, commands act as the peer', async () => {
  expect(await cli.run(['whoami'])).toEqual({
    exitCode: 0,
    stdout: 'shoal\n',
    stderr: "nobody is logged in: this is the peer's own account\n",
  });
  expect(JSON.parse((await cli.run(['whoami', '-o', 'json'])).stdout)).toEqual({
    username: 'shoal',
    peerAccount: true,
    expiresAt: null,
  });
  expect(cli.server.calls[0]?.authorization).toBeUndefined();
});

test('login never prints the session', async () => {
  const { stdout } = await login();
  expect(stdout).toBe('');
  cli.server.catalogue.passwords.set('bob', 'a password');
  const json = await cli.run(['login', 'bob', '-o', 'json'], { env: { SHOAL_PASSWORD: 'a password' } });
  expect(JSON.parse(json.stdout)).toEqual({ username: 'bob', expiresAt: UNTIL });
  expect(json.stderr).not.toContain('session-');
});

test('login sends no session that is there already', async () => {
  await login();
  await login();
  expect(cli.server.calls.at(-1)).toMatchObject({ method: 'Login', authorization: undefined });
});

test('a wrong password exits with 4, with the hint of the daemon, and keeps the session there was', async () => {
  await login();
  const { exitCode, stderr } = await cli.run(['login', 'ann', '--password-stdin'], { stdin: 'wrong' });
  expect(exitCode).toBe(4);
  expect(stderr).toBe('shoal: wrong user name or password\nhint: mind the caps lock\n');
  expect(await storedSession()).toMatchObject({ token: 'session-1-of-ann' });
});

test('a session that is over exits with 4 and says how to begin another', async () => {
  await login();
  cli.server.catalogue.sessions.clear();
  for (const argv of [['ls'], ['stat', 'a'], ['get', 'a'], ['whoami']]) {
    expect(await cli.run(argv)).toEqual({
      exitCode: 4,
      stdout: '',
      stderr: 'shoal: the session is over\nhint: shoal login ann\n',
    });
  }
});

test('logout ends the session on both sides', async () => {
  await login();
  expect(await cli.run(['logout'])).toEqual({ exitCode: 0, stdout: '', stderr: 'logged out ann\n' });
  expect(cli.server.catalogue.sessions.size).toBe(0);
  expect((await cli.run(['whoami', '-o', 'name'])).stdout).toBe('shoal\n');
  expect(await cli.run(['logout'])).toEqual({ exitCode: 0, stdout: '', stderr: 'nobody is logged in\n' });
});

test('logout forgets a session that is over already', async () => {
  await login();
  cli.server.catalogue.sessions.clear();
  expect((await cli.run(['logout'])).stderr).toBe('the session of ann was over already\n');
  await expect(stat(cli.path('session'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('logout keeps the session when it cannot be ended', async () => {
  await login();
  cli.server.trouble('Logout', { kind: 'fail', error: new ShoalError('unavailable', 'the index is away') });
  expect((await cli.run(['logout'])).exitCode).toBe(5);
  expect(await storedSession()).toMatchObject({ username: 'ann' });
});

test('logout removes a file that holds no session, which every other command refuses', async () => {
  await writeFile(cli.path('session'), 'rubbish');
  const { exitCode, stderr } = await cli.run(['ls']);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('hint: forget it with: shoal logout\n');
  expect((await cli.run(['logout'])).exitCode).toBe(0);
  expect((await cli.run(['ls'])).exitCode).toBe(0);
});

test('the session goes where SHOAL_SESSION_FILE says', async () => {
  cli.server.catalogue.passwords.set('ann', 'p');
  const env = { SHOAL_SESSION_FILE: 'mine', SHOAL_PASSWORD: 'p' };
  await cli.run(['login', 'ann'], { env });
  expect((await cli.run(['whoami', '-o', 'name'], { env })).stdout).toBe('ann\n');
  expect((await cli.run(['whoami', '-o', 'name'])).stdout).toBe('shoal\n');
});

test('passwd changes the password', async () => {
  await login();
  const { exitCode, stderr } = await cli.run(['passwd', '--password-stdin'], { stdin: 'a password\nanother one\n' });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: 'the password of ann is changed\n' });
  expect(cli.server.catalogue.passwords.get('ann')).toBe('another one');
  const wrong = await cli.run(['passwd', '--password-stdin'], { stdin: 'a password\nthird\n' });
  expect(wrong).toMatchObject({ exitCode: 4, stderr: 'shoal: the current password is wrong\n' });
});

test('passwd needs somebody who is logged in', async () => {
  const { exitCode, stderr } = await cli.run(['passwd', '--password-stdin'], { stdin: 'a\nb\n' });
  expect({ exitCode, stderr }).toEqual({ exitCode: 4, stderr: 'shoal: nobody is logged in\nhint: shoal login USER\n' });
});

test('passwords are typed blindly, new ones twice', async () => {
  const { stderr } = await cli.run(['register', 'ann'], { stdin: typing('typed secret', 'typed secret') });
  expect(stderr).toBe(`Password: \nOnce more: \nregistered ann; logged in until ${UNTIL}\n`);
  expect(cli.server.catalogue.passwords.get('ann')).toBe('typed secret');
  expect((await cli.run(['login', 'ann'], { stdin: typing('typed secret') })).exitCode).toBe(0);
  const change = await cli.run(['passwd'], { stdin: typing('typed secret', 'new secret', 'new secret') });
  expect(change.exitCode).toBe(0);
  expect(cli.server.catalogue.passwords.get('ann')).toBe('new secret');
});

test('two different passwords change nothing', async () => {
  const { exitCode, stderr } = await cli.run(['register', 'ann'], { stdin: typing('one', 'other') });
  expect(exitCode).toBe(2);
  expect(stderr).toContain('shoal: the two passwords differ; nothing was changed\n');
  expect(cli.server.calls).toEqual([]);
});

test('Ctrl-C at the prompt exits with 130', async () => {
  expect((await cli.run(['login', 'ann'], { stdin: typing() })).exitCode).toBe(130);
});

test.each([
  ['register', 'ann'],
  ['login', 'ann'],
])('%s says how to give a password without a terminal', async (...argv) => {
  const { exitCode, stderr } = await cli.run(argv);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('hint: pipe it in with --password-stdin, or set SHOAL_PASSWORD\n');
});

test('a taken name exits with 8', async () => {
  await login();
  expect((await cli.run(['register', 'ann'], { env: { SHOAL_PASSWORD: 'a password' } })).exitCode).toBe(8);
});
