import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What became of a command that ran to its end. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What the command reads; nothing without it. */
  readonly input?: Readable | string;
  /** Where its standard output goes instead of into the result. */
  readonly output?: Writable;
}

/** Runs a command to its end, whatever its exit code. Rejects only when it cannot be started. */
export async function attempt(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const [[code], , stdout, stderr] = await Promise.all([
    ended,
    feed(child.stdin, options.input),
    options.output ? pipeline(child.stdout, options.output).then(() => '') : text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

/** Runs a command and resolves to what it printed. Rejects with all it had to say when it failed. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(command, args, options);
  if (result.code !== 0) throw new Error(failure([command, ...args].join(' '), result));
  return result.stdout;
}

/** A command that runs beside the story, read line by line. */
export class Running {
  readonly stderr: string[] = [];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<[number | null]>;
  readonly #line: string;

  constructor(command: string, args: readonly string[], onLine: (line: string, stream: 'stdout' | 'stderr') => void) {
    this.#line = [command, ...args].join(' ');
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#child, 'close') as Promise<[number | null]>;
    createInterface(this.#child.stdout).on('line', (line) => onLine(line, 'stdout'));
    createInterface(this.#child.stderr).on('line', (line) => {
      this.stderr.push(line);
      onLine(line, 'stderr');
    });
  }

  /** Resolves when the command has ended by itself with exit code 0, and rejects when it failed. */
  async succeeded(): Promise<void> {
    const [code] = await this.#ended;
    if (code !== 0) throw new Error(failure(this.#line, { code, stdout: '', stderr: this.stderr.join('\n') }));
  }

  /** Ends it; fine when it has ended already. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}

function failure(line: string, { code, stdout, stderr }: Result): string {
  return `${line}\nended with exit code ${code}\n${stdout.slice(-4000)}${stderr.slice(-4000)}`;
}

async function feed(stdin: Writable, input: Readable | string | undefined): Promise<void> {
  if (input === undefined || typeof input === 'string') {
    // A command that ends without reading says by its exit code whether that was right.
    stdin.on('error', () => undefined);
    stdin.end(input);
  } else {
    await pipeline(input, stdin);
  }
}

async function text(stream: Readable): Promise<string> {
  let all = '';
  for await (const part of stream.setEncoding('utf8')) all += part;
  return all;
}
