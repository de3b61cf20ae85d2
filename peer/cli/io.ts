import type { Readable, Writable } from 'node:stream';
import { abortError } from '../../common/errors.js';

/** Input that may be a terminal. */
export type InputStream = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

/** Output that may be a terminal, `columns` wide. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** All that a command touches of the process it runs in, so that a test can run it in its own. */
export interface Io {
  readonly stdin: InputStream;
  /** Descriptor of what `stdin` reads, if it has one. */
  readonly stdinFd: number | undefined;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Folder that relative paths start from. */
  readonly cwd: string;
  /** Permission bits that new files do not get. */
  readonly umask: number;
  /** A clock for durations, in milliseconds. */
  now(): number;
  /** Calls `listener` at the first request to stop (Ctrl-C); returns how to take it back. A second request kills. */
  onInterrupt(listener: () => void): () => void;
  /** Gives up what standard output has not taken: the process ends although nobody reads it. */
  dropOutput(): void;
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The streams, folder, clock and signals of this process. */
export function processIo(): Io {
  return {
    // A getter: touching process.stdin opens it, and most commands never read.
    get stdin() {
      return process.stdin;
    },
    stdinFd: 0,
    stdout: process.stdout,
    stderr: process.stderr,
    cwd: process.cwd(),
    umask: process.umask(),
    now: () => performance.now(),
    onInterrupt(listener) {
      const release = () => {
        for (const signal of STOP_SIGNALS) process.off(signal, once);
      };
      const once = () => {
        release();
        listener();
      };
      for (const signal of STOP_SIGNALS) process.on(signal, once);
      return release;
    },
    dropOutput() {
      // A write to a pipe that is full keeps the process, and nothing but its end takes it back. In the next turn, since
      // the exit code is yet to be set.
      if (process.stdout.writableLength > 0) setImmediate(() => process.exit());
    },
  };
}

/**
 * Writes all of it and waits until the stream has taken it. Rejects with the stream's error, and with what `signal` says
 * when it fires: a reader may never go on.
 */
export function write(stream: Writable, data: string | Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(abortError(signal));
    if (signal.aborted) {
      giveUp();
      return;
    }
    signal.addEventListener('abort', giveUp, { once: true });
    stream.write(data, (error) => {
      signal.removeEventListener('abort', giveUp);
      if (error) reject(error);
      else resolve();
    });
  });
}
