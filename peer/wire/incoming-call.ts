import { EventEmitter } from 'node:events';
import { ShoalError } from '../../common/errors.js';
import type { BufferPool } from './buffer-pool.js';
import { MessageReader, messageFrames } from './grpc-messages.js';
import { ANSWER_HEADERS, trailersOf } from './grpc-status.js';
import { type Headers, headerValue } from './hpack.js';
import type { Http2Stream } from './http2-stream.js';

const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Requests that wait for the one before them. More is no conversation. */
const MAX_WAITING = 4096;
/** With so many bytes of requests waiting, the caller has to wait. */
const ENOUGH_WAITING_BYTES = 1024 * 1024;
/** So much may wait in memory before the writer is told to stop: little, so that what comes next is chosen late. */
const HIGH_WATER_BYTES = 128 * 1024;

/**
 * A call that is served here: a stream of requests, a stream of answers. Emits `drain` when there is room again, and
 * `cancelled` when the caller has gone.
 */
export class IncomingCall extends EventEmitter {
  readonly path: string;
  /** The authorization header; undefined when there is none. */
  readonly authorization: string | undefined;
  readonly #stream: Http2Stream;
  readonly #reader: MessageReader;
  readonly #requests: Buffer[] = [];
  #requestBytes = 0;
  #isRequestEnd = false;
  #failure: ShoalError | undefined;
  #wake: (() => void) | undefined;
  #waitingBytes = 0;
  #hasAnswered = false;
  #isOver = false;

  /** Requests lie in `buffers`, for whoever gives them back. */
  constructor(stream: Http2Stream, headers: Headers, buffers: Pick<BufferPool, 'take'>) {
    super();
    this.#stream = stream;
    this.path = headerValue(headers, ':path') ?? '';
    this.authorization = headerValue(headers, 'authorization');
    this.#reader = new MessageReader(
      { allocate: (bytes) => buffers.take(bytes), onMessage: (message) => this.#request(message) },
      { maxBytes: MAX_REQUEST_BYTES },
    );
    stream.listen({
      onData: (bytes) => this.#received(bytes),
      onEnd: () => {
        this.#isRequestEnd = true;
        if (!this.#reader.isBetweenMessages) this.#refuse(new ShoalError('invalid', 'a request was cut off'));
        this.#wake?.();
      },
      onClose: (early) => {
        this.#isRequestEnd = true;
        this.#wake?.();
        if (this.#isOver || early === undefined) return;
        this.#isOver = true;
        this.emit('cancelled');
      },
    });
  }

  /** The requests, in order, to the end of the call. Throws `invalid` for what is no request. */
  async *requests(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = this.#requests.shift();
      if (next !== undefined) {
        this.#requestBytes -= next.length;
        if (this.#requestBytes < ENOUGH_WAITING_BYTES) this.#stream.resume();
        yield next;
      } else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#isRequestEnd) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  /**
   * Sends an answer, perhaps in parts, which must not change until `onSent`. False means: wait for `drain` before the next
   * large one.
   */
  write(message: Buffer | readonly Buffer[], onSent?: () => void): boolean {
    if (this.#isOver) {
      onSent?.();
      return true;
    }
    this.#answerFirst();
    const frames = messageFrames(message);
    const bytes = frames.reduce((sum, part) => sum + part.length, 0);
    this.#waitingBytes += bytes;
    this.#stream.sendData(frames, () => {
      const wasFull = this.isFull;
      this.#waitingBytes -= bytes;
      onSent?.();
      if (wasFull && !this.isFull) this.emit('drain');
    });
    return !this.isFull;
  }

  /** Whether so much waits that nothing large should be written before `drain`. */
  get isFull(): boolean {
    return this.#waitingBytes >= HIGH_WATER_BYTES;
  }

  /** Ends the call, after what was written, with success or with what failed. */
  end(failure?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const trailers = trailersOf(failure);
    // An answer that is nothing but its end has all its headers in one block.
    this.#stream.sendHeaders(this.#hasAnswered ? trailers : [...ANSWER_HEADERS, ...trailers], true);
  }

  #answerFirst(): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.#stream.sendHeaders(ANSWER_HEADERS, false);
  }

  #received(bytes: Buffer): void {
    if (this.#isOver || this.#failure !== undefined) return;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      this.#refuse(error instanceof ShoalError ? error : new ShoalError('internal', 'a call failed', { cause: error }));
    }
  }

  #request(message: Buffer): void {
    if (this.#requests.length >= MAX_WAITING) throw new ShoalError('throttled', 'too many requests at once');
    this.#requestBytes += message.length;
    if (this.#requestBytes >= ENOUGH_WAITING_BYTES) this.#stream.pause();
    this.#requests.push(message);
    this.#wake?.();
  }

  #refuse(failure: ShoalError): void {
    this.#failure = failure;
    this.#wake?.();
  }
}

/** Ends a call to a method that is not served here. */
export function refuseUnknownMethod(call: IncomingCall): void {
  call.end(new ShoalError('invalid', `there is no method ${call.path.slice(0, 100)}`));
}
