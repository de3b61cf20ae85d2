import fs from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

const LOOK_MS = 20;

/**
 * Opens a named pipe to write to it, as soon as somebody reads it. A stream that waits in the event loop: a write of the
 * file system would keep a thread, and with it the process, for as long as the reader does nothing. Errors are told to
 * who writes. Throws what `signal` says when it fires, and what the system says.
 */
export async function openNamedPipe(path: string, signal: AbortSignal): Promise<Writable> {
  for (;;) {
    const fd = openForReader(path);
    if (fd !== undefined) {
      const pipe = new Socket({ fd, readable: false, writable: true });
      pipe.on('error', () => undefined);
      return pipe;
    }
    await wait(LOOK_MS, undefined, { signal });
  }
}

/** Undefined when nobody reads. */
function openForReader(path: string): number | undefined {
  try {
    return fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return undefined;
    throw error;
  }
}
