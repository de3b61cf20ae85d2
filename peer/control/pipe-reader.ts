import fs from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { abortError } from '../../common/errors.js';
import type { BufferPool } from '../wire/buffer-pool.js';

/** What is read before it is handed on: fewer, larger writes. */
const PIECE_BYTES = 512 * 1024;
/** What a pipe holds, unless somebody made it larger. */
const READ_BYTES = 64 * 1024;
/** That may wait to be handed on. */
const FULL_PIECES = 2;

/** Where the bytes are read to, and when to stop. */
export interface PipeReaderOptions {
  readonly buffers: Pick<BufferPool, 'take'>;
  readonly signal: AbortSignal;
}

/**
 * The bytes that come out of a pipe until nobody can write to it any more, in pieces of about half a mebibyte and a shorter one at
 * the end, in buffers of the pool. No more is read than three pieces ahead. `fd` stays the caller's. Throws what the system says, and
 * what `signal` says when it fires.
 */
export async function* readPipe(fd: number, options: PipeReaderOptions): AsyncGenerator<Buffer> {
  const reader = new PipeReader(fd, options);
  try {
    for (let piece = await reader.next(); piece.length > 0; piece = await reader.next()) yield piece;
  } finally {
    reader.close();
  }
}

/**
 * A socket, not a stream of the file system: that would keep a thread of the pool for as long as nobody writes. It reads into
 * memory that it is given, and so leaves no garbage behind.
 */
class PipeReader {
  readonly #options: PipeReaderOptions;
  readonly #socket: Socket;
  readonly #full: Buffer[] = [];
  #piece: Buffer;
  #pieceBytes = 0;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(fd: number, options: PipeReaderOptions) {
    this.#options = options;
    this.#piece = options.buffers.take(PIECE_BYTES);
    const onread = {
      buffer: () => this.#piece.subarray(this.#pieceBytes),
      callback: (bytes: number) => this.#onBytes(bytes),
    };
    // Another descriptor: the socket closes its own.
    const own = openAgain(fd);
    // Node's types have `onread` for sockets that dial only.
    const settings: SocketConstructorOpts & { readonly onread: typeof onread } = {
      ...{ fd: own, readable: true, writable: false, onread },
    };
    this.#socket = new Socket(settings);
    this.#socket.on('end', () => {
      this.#isEnded = true;
      this.#wake?.();
    });
    this.#socket.on('error', (error) => this.#fail(error));
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#socket.resume();
  }

  /** The next piece, empty at the end. */
  async next(): Promise<Buffer> {
    while (this.#full.length === 0 && !this.#isEnded && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    const piece = this.#full.shift() ?? this.#cut();
    this.#socket.resume();
    return piece;
  }

  close(): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
  }

  /** Returns false to read no more until the socket is resumed; it has asked for the next buffer before. */
  #onBytes(bytes: number): boolean {
    this.#pieceBytes += bytes;
    if (PIECE_BYTES - this.#pieceBytes >= READ_BYTES) return true;
    this.#full.push(this.#cut());
    this.#wake?.();
    return this.#full.length < FULL_PIECES;
  }

  /** What has been read of the current piece; a new one begins. */
  #cut(): Buffer {
    const piece = this.#piece.subarray(0, this.#pieceBytes);
    this.#piece = this.#options.buffers.take(PIECE_BYTES);
    this.#pieceBytes = 0;
    return piece;
  }

  readonly #onAbort = (): void => this.#fail(abortError(this.#options.signal));

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }
}

/**
 * Opens a pipe once more to read it. Linux never tells who opened a named pipe that nobody wrote to since that this is its end, so
 * somebody is there to write for a moment.
 */
function openAgain(fd: number): number {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = fs.constants;
  const path = `/proc/self/fd/${fd}`;
  const reading = fs.openSync(path, O_RDONLY | O_NONBLOCK);
  try {
    fs.closeSync(fs.openSync(path, O_WRONLY | O_NONBLOCK));
    return reading;
  } catch (error) {
    fs.closeSync(reading);
    throw error;
  }
}
