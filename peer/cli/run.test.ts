import { Writable } from 'node:stream';
import { ERROR_CODES, EXIT_STATUS, ShoalError } from '../../common/errors.js';
import { VERSION } from '../../common/version.js';
import { CliHarness } from '../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

describe('how a command ends', () => {
  test.each(ERROR_CODES)('exits with the status of %s, one line and a hint', async (code) => {
    cli.server.trouble('Stat', { kind: 'fail', error: new ShoalError(code, 'it went\nwrong', { hint: 'do better' }) });
    const { exitCode, stdout, stderr } = await cli.run(['stat', 'a']);
    const hint = code === 'unauthenticated' ? 'shoal login USER' : 'do better';
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: EXIT_STATUS[code],
      stdout: '',
      stderr: `shoal: it went\\u{a}wrong\nhint: ${hint}\n`,
    });
  });

  test('names the files that an ambiguous reference may mean', async () => {
    const details = { candidates: ['ann/a', 'bob/a'] };
    cli.server.trouble('Stat', { kind: 'fail', error: new ShoalError('conflict', "'a' is ambiguous", { details }) });
    const { exitCode, stderr } = await cli.run(['stat', 'a']);
    expect(exitCode).toBe(8);
    expect(stderr).toBe("shoal: 'a' is ambiguous: ann/a, bob/a\n");
  });

  test('exits with 7 when its time is over, and gives the call up', async () => {
    cli.server.trouble('List', { kind: 'silent' });
    const { exitCode, stderr } = await cli.run(['ls', '--timeout', '0.05']);
    expect(exitCode).toBe(7);
    expect(stderr).toBe('shoal: took longer than the 0.05 s of --timeout\n');
  });

  test('exits with 130 when it is interrupted', async () => {
    cli.server.trouble('List', { kind: 'silent' });
    const called = cli.server.called('List');
    const { exitCode, stderr } = await cli.run(['ls'], { onStart: (interrupt) => void called.then(interrupt) });
    expect(exitCode).toBe(130);
    expect(stderr).toBe('shoal: interrupted\n');
  });

  test('exits with 5 and says what to start when no peer runs here', async () => {
    const { exitCode, stderr } = await cli.run(['ls'], { env: { SHOAL_SOCKET: cli.path('none.sock') } });
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`shoal: no peer is running here: there is no control socket ${cli.path('none.sock')}\n`);
    expect(stderr).toContain('hint: start one with `npm start` or `shoal peer`');
  });

  test('looks for the socket in the data folder, and in the first peer of npm start without one', async () => {
    const inData = await cli.run(['ls'], { env: { SHOAL_SOCKET: '', SHOAL_DATA_DIR: 'elsewhere' } });
    expect(inData.stderr).toContain(cli.path('elsewhere/control.sock'));
    const byDefault = await cli.run(['ls'], { env: { SHOAL_SOCKET: '' } });
    expect(byDefault.stderr).toContain(cli.path('data/peer-1/control.sock'));
  });

  test('exits with 5 when the peer dies meanwhile', async () => {
    cli.server.trouble('List', { kind: 'die' });
    const { exitCode, stderr } = await cli.run(['ls']);
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`shoal: lost the connection to the peer at ${cli.server.socketPath}`);
  });

  test('is not a failure when nobody reads the output any more', async () => {
    cli.server.catalogue.add('a', 'x');
    const closed = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
    expect(await cli.run(['ls'], { stdout: closed })).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  test('is one when the output cannot be written for another reason', async () => {
    const full = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })),
    });
    const { exitCode, stderr } = await cli.run(['peers'], { stdout: full });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: EXIT_STATUS.exhausted });
  });
});

describe('what makes no sense', () => {
  test.each([
    [['put'], "missing required argument 'file'", 'see: shoal help, or shoal COMMAND --help'],
    [['lss'], "unknown command 'lss'", 'did you mean ls?'],
    [['bogus'], "unknown command 'bogus'", 'see: shoal help'],
    [['ls', '--ownr', 'x'], "unknown option '--ownr'", 'did you mean --owner?'],
    [
      ['ls', '--limit', '0'],
      "option '--limit <n>' argument '0' is invalid. It must be a whole number from 1 to 1000.",
      '',
    ],
    [['ls', '-o', 'yaml'], "option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are table", ''],
    [['stat', 'a', 'b'], "too many arguments for 'stat'", ''],
    [['tag', 'a', 'b'], "'b' is not of the form KEY=VALUE.", ''],
    [['share', 'a'], 'nothing to change', '--visibility'],
    [['ls', '--timeout', '0'], "option '--timeout <seconds>' argument '0' is invalid", ''],
    [['completion', 'tcsh'], "command-argument value 'tcsh' is invalid", ''],
    [['completion', 'bash', '-o', 'json'], 'a completion script has one form', ''],
    [['cat', 'a', '-o', 'json'], 'standard output carries the file', 'shoal get a'],
    [['peer', '--quiet'], "'shoal peer' takes no --quiet", 'environment'],
    [['index', '-o', 'table'], "'shoal index' takes no --output", 'environment'],
  ])('exits with 2 for %j', async (argv, message, hint) => {
    const { exitCode, stdout, stderr } = await cli.run(argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(`shoal: ${message}`);
    expect(stderr).toContain(hint);
    expect(cli.server.calls).toEqual([]);
  });

  test.each([
    ['../x', "has a '.' or '..' segment"],
    ['', 'is empty'],
    ['a//b', 'has an empty segment'],
    ['/a', 'begins with a slash'],
    ['a\u001bb', 'contains a control character'],
    ['x'.repeat(1025), 'has 1025 bytes; at most 1024 are allowed'],
  ])('exits with 2 when a REF can be no file: %j', async (ref, problem) => {
    for (const command of [['get'], ['cat'], ['stat'], ['verify'], ['rm'], ['share'], ['tag']]) {
      const { exitCode, stdout, stderr } = await cli.run([...command, ref, ...(command[0] === 'tag' ? ['a=b'] : [])]);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      expect(stderr).toContain(`shoal: the reference '`);
      expect(stderr).toContain(problem);
    }
    expect(cli.server.calls).toEqual([]);
  });

  test('shows help and exits with 2 when no command is given', async () => {
    const { exitCode, stdout, stderr } = await cli.run([]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('Usage: shoal [options] [command]');
  });

  test('shows help on standard output when it is asked for, the options of every command included', async () => {
    const { exitCode, stdout, stderr } = await cli.run(['put', '--help']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain('--no-wait');
    expect(stdout).toContain('--timeout <seconds>');
  });
});

describe('the options of every command', () => {
  test('stand before or after it', async () => {
    cli.server.catalogue.add('a', 'x');
    for (const argv of [
      ['-o', 'name', 'ls'],
      ['ls', '--output', 'name'],
      ['ls', '--output=name'],
    ]) {
      expect((await cli.run(argv)).stdout).toBe('a\n');
    }
  });

  test('colour is for terminals that want it', async () => {
    const bold = '\u001b[1m';
    expect((await cli.run(['peers'], { isTerminal: true })).stdout).toContain(bold);
    expect((await cli.run(['peers'])).stdout).not.toContain(bold);
    expect((await cli.run(['peers', '--no-color'], { isTerminal: true })).stdout).not.toContain(bold);
    expect((await cli.run(['peers'], { isTerminal: true, env: { NO_COLOR: '1' } })).stdout).not.toContain(bold);
    expect((await cli.run(['peers'], { isTerminal: true, env: { TERM: 'dumb' } })).stdout).not.toContain(bold);
  });

  test('quiet leaves the answer and errors', async () => {
    expect(await cli.run(['ls', '--quiet'])).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect((await cli.run(['stat', 'none', '--quiet'])).stderr).toContain("shoal: there is no file 'none'");
  });
});

describe('shoal version', () => {
  test('asks nobody', async () => {
    cli.server.stop();
    expect(await cli.run(['version'])).toEqual({ exitCode: 0, stdout: `shoal ${VERSION}\n`, stderr: '' });
    expect((await cli.run(['--version'])).stdout).toBe(`shoal ${VERSION}\n`);
  });

  test('has the forms of other answers', async () => {
    expect(JSON.parse((await cli.run(['version', '-o', 'json'])).stdout)).toEqual({
      version: VERSION,
      node: process.version,
    });
    expect((await cli.run(['version', '-o', 'name'])).stdout).toBe(`${VERSION}\n`);
  });
});
