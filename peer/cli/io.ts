import type { Readable, Writable } from 'node:stream';

/** Input that may be a terminal. */
export type InputStream = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

/** Output that may be a terminal, `columns` wide. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** All that a command touches of the process it runs in, so that a test can run it in its own. */
export interface Io {
  readonly stdin: InputStream;
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
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The streams, folder, clock and signals of this process. */
export function processIo(): Io {
  return {
    // A getter: touching process.stdin opens it, and most commands never read.
    get stdin() {
      return process.stdin;
    },
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
  };
}

/** Writes all of it and waits until the stream has taken it. Rejects with the stream's error. */
export function write(stream: Writable, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => (error ? reject(error) : resolve()));
  });
}
