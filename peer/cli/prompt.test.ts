import { PassThrough } from 'node:stream';
import { ShoalError } from '../../common/errors.js';
import { promptHidden, readLines } from './prompt.js';

const never = new AbortController().signal;

/** A terminal to type into; `isRaw` tells whether it would echo. */
function terminal() {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    modes: [] as boolean[],
    setRawMode(isRaw: boolean) {
      this.modes.push(isRaw);
    },
  });
  return { stdin, stderr: new PassThrough({ encoding: 'utf8' }) };
}

test('reads what is typed up to Enter, with corrections, in raw mode', async () => {
  const { stdin, stderr } = terminal();
  const typed = promptHidden({ stdin, stderr, signal: never }, 'Password: ');
  stdin.write('wrong\u0015sé');
  stdin.write('\u001b[A');
  stdin.write('x\u007fcret\r');
  expect(await typed).toBe('sécret');
  expect(stdin.modes).toEqual([true, false]);
  expect(stderr.read()).toBe('Password: \n');
});

test('puts together a character that comes in two pieces', async () => {
  const { stdin, stderr } = terminal();
  const typed = promptHidden({ stdin, stderr, signal: never }, '');
  const bytes = Buffer.from('é\n');
  stdin.write(bytes.subarray(0, 1));
  stdin.write(bytes.subarray(1));
  expect(await typed).toBe('é');
});

test.each([
  ['Ctrl-C', 'abc\u0003', 'cancelled'],
  ['Ctrl-D on an empty line', '\u0004', 'cancelled'],
])('ends on %s, the terminal as it was', async (_what, keys, code) => {
  const { stdin, stderr } = terminal();
  const typed = promptHidden({ stdin, stderr, signal: never }, '');
  stdin.write(keys);
  await expect(typed).rejects.toMatchObject({ code });
  expect(stdin.modes).toEqual([true, false]);
});

test('ends when the terminal goes away', async () => {
  const { stdin, stderr } = terminal();
  const typed = promptHidden({ stdin, stderr, signal: never }, '');
  stdin.end('abc');
  await expect(typed).rejects.toMatchObject({ code: 'invalid' });
});

test('ends when the command is out of time', async () => {
  const { stdin, stderr } = terminal();
  const stop = new AbortController();
  const typed = promptHidden({ stdin, stderr, signal: stop.signal }, '');
  stop.abort(new ShoalError('timeout', 'late'));
  await expect(typed).rejects.toMatchObject({ code: 'timeout' });
});

function input(text: string) {
  const stdin = new PassThrough();
  stdin.end(text);
  return stdin;
}

test.each([
  ['old\nnew\n', ['old', 'new']],
  ['old\r\nnew', ['old', 'new']],
  ['\n spaced \nmore\n', ['', ' spaced ']],
])('reads two lines of %j', async (text, lines) => {
  expect(await readLines({ stdin: input(text), signal: never }, 2)).toEqual(lines);
});

test('says how many lines are missing', async () => {
  await expect(readLines({ stdin: input('one\n'), signal: never }, 2)).rejects.toThrow('has 1 of the 2 lines');
});

test('reads no more than a password may be', async () => {
  await expect(readLines({ stdin: input('x'.repeat(70_000)), signal: never }, 1)).rejects.toThrow('too long');
});

test('does not wait for input that never comes when the command is out of time', async () => {
  const stop = new AbortController();
  const lines = readLines({ stdin: new PassThrough(), signal: stop.signal }, 1);
  stop.abort(new ShoalError('timeout', 'late'));
  await expect(lines).rejects.toMatchObject({ code: 'timeout' });
});
