import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { InputStream, OutputStream } from '../cli/io.js';
import { run } from '../cli/run.js';
import { FakeControlServer } from './fake-control-server.js';

/** What a command did. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface RunOptions {
  /** All of standard input; none means that it is empty. */
  readonly stdin?: string | Buffer | InputStream;
  /** Descriptor of standard input, when it has one. */
  readonly stdinFd?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Called with the function that interrupts the command, as Ctrl-C does. */
  readonly onStart?: (interrupt: () => void) => void;
  /** Whether the three streams are a terminal. */
  readonly isTerminal?: boolean;
  /** What stands for standard output; by default it is captured. */
  readonly stdout?: OutputStream;
  /** Told what is written to standard error, as it is written. */
  readonly onStderr?: (text: string) => void;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/** A folder, a fake daemon in it, and commands run against that in this process. */
export class CliHarness {
  readonly dir: string;
  readonly server: FakeControlServer;

  private constructor(dir: string) {
    this.dir = dir;
    this.server = new FakeControlServer(join(dir, 'control.sock'));
  }

  static async start(): Promise<CliHarness> {
    const harness = new CliHarness(await mkdtemp(join(tmpdir(), 'shoal-cli-')));
    await harness.server.start();
    return harness;
  }

  async stop(): Promise<void> {
    this.server.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Path of a file in the folder, which is the commands' current folder. */
  path(name: string): string {
    return join(this.dir, name);
  }

  /** The environment that leads a command to this daemon. */
  get env(): NodeJS.ProcessEnv {
    return { SHOAL_SOCKET: this.server.socketPath };
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return runCommand(argv, { ...options, cwd: this.dir, env: { ...this.env, ...options.env } });
  }
}

/** Runs one command in this process. */
export async function runCommand(
  argv: readonly string[],
  options: RunOptions & { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const stdout = new Captured(options.isTerminal === true);
  const stderr = new Captured(options.isTerminal === true, options.onStderr);
  const exitCode = await run(
    argv,
    {
      stdin: inputOf(options),
      stdinFd: options.stdinFd,
      stdout: options.stdout ?? stdout,
      stderr,
      dropOutput: () => {},
      cwd: options.cwd,
      umask: 0o022,
      now: options.now ?? (() => performance.now()),
      onInterrupt: (listener) => {
        options.onStart?.(listener);
        return () => undefined;
      },
    },
    options.env,
  );
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

class Captured extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 100;
  readonly #onText: ((text: string) => void) | undefined;

  constructor(isTTY: boolean, onText?: (text: string) => void) {
    super();
    this.isTTY = isTTY;
    this.#onText = onText;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const text = chunk.toString();
    this.text += text;
    this.#onText?.(text);
    callback();
  }
}

function inputOf({ stdin = '' }: RunOptions): InputStream {
  if (typeof stdin !== 'string' && !Buffer.isBuffer(stdin)) return stdin;
  const stream = new PassThrough();
  stream.end(stdin);
  return stream;
}
