import { EventEmitter } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, FrameType, readFrameHeader, readSettings } from './frames.js';
import { MessageReader, messagePrefix } from './grpc-messages.js';
import { ANSWER_HEADERS, trailersOf } from './grpc-status.js';
import { type Headers, headerValue } from './hpack.js';
import { Http2Connection, type Http2Options } from './http2-connection.js';
import type { Http2Stream } from './http2-stream.js';

/*
 * The one port of a peer. Who connects shows with his first frame whether he is a peer of ours (it has a setting that
 * means nothing to others): then the calls with bulk answers are served here, without the copies of grpc-js. Everybody
 * else's connection goes to grpc-js, with all that was read of it, and is served as by any gRPC server.
 */

/** A setting that only peers of ours send; RFC 9113 section 6.5.2 has everybody else ignore it. Its value is a version. */
export const BULK_SETTING: readonly [id: number, value: number] = [0x5348, 1];

/** A connection that says nothing for so long is closed, in milliseconds. */
const HELLO_MS = 20_000;
const MAX_HELLO_BYTES = 4 * 1024;
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** Requests that wait for the one before them. More is no conversation. */
const MAX_WAITING = 4096;
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
  #isRequestEnd = false;
  #failure: ShoalError | undefined;
  #wake: (() => void) | undefined;
  #waitingBytes = 0;
  #hasAnswered = false;
  #isOver = false;

  constructor(stream: Http2Stream, headers: Headers) {
    super();
    this.#stream = stream;
    this.path = headerValue(headers, ':path') ?? '';
    this.authorization = headerValue(headers, 'authorization');
    this.#reader = new MessageReader(
      { allocate: (bytes) => Buffer.allocUnsafe(bytes), onMessage: (message) => this.#request(message) },
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
      if (next !== undefined) yield next;
      else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#isRequestEnd) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  /** Sends an answer, which must not change until `onSent`. False means: wait for `drain` before the next large one. */
  write(message: Buffer, onSent?: () => void): boolean {
    if (this.#isOver) {
      onSent?.();
      return true;
    }
    this.#answerFirst();
    this.#waitingBytes += message.length;
    const isFull = () => this.#waitingBytes >= HIGH_WATER_BYTES;
    this.#stream.sendData(messagePrefix(message.length));
    this.#stream.sendData(message, () => {
      const wasFull = isFull();
      this.#waitingBytes -= message.length;
      onSent?.();
      if (wasFull && !isFull()) this.emit('drain');
    });
    return !isFull();
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
    this.#requests.push(message);
    this.#wake?.();
  }

  #refuse(failure: ShoalError): void {
    this.#failure = failure;
    this.#wake?.();
  }
}

/** See the head of this file. */
export class CallServer {
  readonly #deps: {
    readonly onCall: (call: IncomingCall) => void;
    readonly otherwise: (socket: Socket) => void;
    readonly log: Logger;
  };
  readonly #options: Http2Options;
  readonly #server: Server;
  /** Those who have not said who they are. */
  readonly #strangers = new Set<Socket>();
  readonly #connections = new Set<Http2Connection>();
  #isLeaving = false;
  #onIdle: (() => void) | undefined;

  constructor(
    deps: {
      /** A peer of ours calls. */
      readonly onCall: (call: IncomingCall) => void;
      /** Somebody else has connected; nothing was read from the socket. */
      readonly otherwise: (socket: Socket) => void;
      readonly log: Logger;
    },
    options: Http2Options,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#greet(socket));
  }

  /** Listens at host and port, and resolves to the port (a free one for port 0). Rejects with `unavailable`. */
  async listen(host: string, port: number): Promise<number> {
    return await new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
        reject(new ShoalError('unavailable', `cannot listen for gRPC on ${where}: ${cause.message}`, { cause }));
      });
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  /** Takes no new connections and no new calls. Resolves when those under way are over. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#strangers) socket.destroy();
    if (this.#connections.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    for (const connection of [...this.#connections]) connection.leave();
    await idle;
  }

  /** Cuts what is under way. */
  cut(): void {
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #greet(socket: Socket): void {
    this.#strangers.add(socket);
    let hello: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), HELLO_MS);
    const settle = () => {
      this.#strangers.delete(socket);
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', settle);
    };
    const onData = (data: Buffer) => {
      hello = Buffer.concat([hello, data]);
      const who = whoSays(hello);
      if (who === 'unknown') return;
      settle();
      socket.pause();
      if (who === 'peer') this.#converse(socket, hello);
      else this.#passOn(socket, hello);
    };
    const onError = () => socket.destroy();
    socket.on('data', onData).on('error', onError).on('close', settle);
  }

  #passOn(socket: Socket, hello: Buffer): void {
    socket.unshift(hello);
    this.#deps.otherwise(socket);
  }

  #converse(socket: Socket, hello: Buffer): void {
    const connection = new Http2Connection(
      {
        socket,
        listener: {
          onStream: (stream, headers) => this.#deps.onCall(new IncomingCall(stream, headers)),
          onClose: (error) => {
            this.#connections.delete(connection);
            if (this.#connections.size === 0) this.#onIdle?.();
            this.#deps.log.debug({ error }, 'a peer hung up');
          },
        },
      },
      { ...this.#options, role: 'server' },
    );
    this.#connections.add(connection);
    socket.on('data', (data: Buffer) => connection.receive(data));
    connection.receive(hello);
    if (this.#isLeaving) connection.leave();
    socket.resume();
  }
}

/** Ends a call to a method that is not served here. */
export function refuseUnknownMethod(call: IncomingCall): void {
  call.end(new ShoalError('invalid', `there is no method ${call.path.slice(0, 100)}`));
}

/** Who sends these first bytes, if they are enough to tell. */
function whoSays(hello: Buffer): 'peer' | 'other' | 'unknown' {
  const compared = Math.min(hello.length, CLIENT_PREFACE.length);
  if (CLIENT_PREFACE.compare(hello, 0, compared, 0, compared) !== 0) return 'other';
  const start = CLIENT_PREFACE.length + FRAME_HEADER_BYTES;
  if (hello.length < start) return 'unknown';
  const { type, length } = readFrameHeader(hello.subarray(CLIENT_PREFACE.length, start));
  if (type !== FrameType.settings || length > MAX_HELLO_BYTES || length % 6 !== 0) return 'other';
  if (hello.length < start + length) return 'unknown';
  const settings = readSettings(hello.subarray(start, start + length));
  return settings.some(([id, value]) => id === BULK_SETTING[0] && value === BULK_SETTING[1]) ? 'peer' : 'other';
}
