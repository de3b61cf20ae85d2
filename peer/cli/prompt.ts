import { addAbortSignal } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { abortError, ShoalError } from '../../common/errors.js';
import type { InputStream, OutputStream } from './io.js';

/** Where a password is asked for and read. */
export interface PromptDeps {
  readonly stdin: InputStream;
  /** Where the question goes. */
  readonly stderr: OutputStream;
  readonly signal: AbortSignal;
}

const MAX_INPUT_BYTES = 64 * 1024;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const ESCAPE = '\u001b';

/** Whether a person can be asked. */
export function canPrompt(stdin: InputStream): boolean {
  return stdin.isTTY === true && stdin.setRawMode !== undefined;
}

/**
 * Asks for a password in the terminal; what is typed is not shown. Throws `cancelled` on Ctrl-C, or Ctrl-D on an empty
 * line.
 */
export async function promptHidden(deps: PromptDeps, question: string): Promise<string> {
  const { stdin, stderr, signal } = deps;
  stderr.write(question);
  // Raw mode is what keeps the terminal from echoing; Ctrl-C then comes as a character instead of a signal.
  stdin.setRawMode?.(true);
  try {
    return await readTyped(stdin, signal);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** The first `count` lines of standard input, without line breaks. Throws `invalid` when there are fewer, or far more. */
export async function readLines(deps: Pick<PromptDeps, 'stdin' | 'signal'>, count: number): Promise<string[]> {
  const text = await readAll(deps);
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length >= count) return lines.slice(0, count);
  throw new ShoalError(
    'invalid',
    `standard input has ${lines.length} of the ${count} lines that --password-stdin needs`,
  );
}

function readTyped(stdin: InputStream, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let typed: string[] = [];
    const settle = (finish: () => void) => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    const cancel = () => settle(() => reject(new ShoalError('cancelled', 'interrupted')));
    const onAbort = () => settle(() => reject(abortError(signal)));
    const onEnd = () =>
      settle(() => reject(new ShoalError('invalid', 'the terminal closed before the password was typed')));
    const onData = (chunk: Buffer | string) => {
      const text = typeof chunk === 'string' ? chunk : decoder.write(chunk);
      // Arrow keys and the like are no part of a password.
      if (text.startsWith(ESCAPE)) return;
      for (const char of text) {
        if (char === '\r' || char === '\n') return settle(() => resolve(typed.join('')));
        if (char === CTRL_C || (char === CTRL_D && typed.length === 0)) return cancel();
        typed = edited(typed, char);
      }
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
    // A listener alone does not wake what an earlier prompt paused.
    stdin.resume();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function edited(typed: string[], char: string): string[] {
  if (char === CTRL_U) return [];
  if (char === '\b' || char === '\u007f') return typed.slice(0, -1);
  return char < ' ' ? typed : [...typed, char];
}

async function readAll({ stdin, signal }: Pick<PromptDeps, 'stdin' | 'signal'>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of addAbortSignal(signal, stdin)) {
      const data = Buffer.from(chunk as Buffer);
      bytes += data.length;
      if (bytes > MAX_INPUT_BYTES) throw new ShoalError('invalid', 'standard input is too long for a password');
      chunks.push(data);
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  }
  return Buffer.concat(chunks).toString('utf8');
}
