import type { Socket } from 'node:net';
import { FrameReader } from './frame-reader.js';
import { FrameSender } from './frame-sender.js';
import {
  CLIENT_PREFACE,
  FIRST_WINDOW_BYTES,
  FrameFlag,
  type FrameHeader,
  FrameType,
  frame,
  goawayFrame,
  Http2Code,
  MAX_WINDOW_BYTES,
  numberFrame,
  ProtocolError,
  readGoaway,
  readNumber,
  readSettings,
  Setting,
  settingsFrame,
} from './frames.js';
import { HeaderReader, type StreamHeaders } from './header-blocks.js';
import type { Headers } from './hpack.js';
import { Http2Stream } from './http2-stream.js';
import { Keepalive, type KeepaliveOptions } from './keepalive.js';
import { StreamTable } from './stream-table.js';

/*
 * One HTTP/2 connection, as much of RFC 9113 as gRPC needs, either side of it. It exists because of bulk bytes: Node's
 * own HTTP/2 and grpc-js allocate, copy and queue them several times, this hands DATA on where it lies. No priorities,
 * no push, no dynamic header table. What a stream receives is taken at once; who has no room for more pauses the stream.
 * Whoever breaks the rules loses the connection, also where the RFC would let him off with a stream.
 */

/** Streams at once; more are refused. */
const MAX_STREAMS = 4096;
/** How long the last words may take to reach the other side, in milliseconds. */
const LINGER_MS = 1_000;
const NOTHING = Buffer.alloc(0);

const ABOUT_CONNECTION: ReadonlySet<number> = new Set([FrameType.settings, FrameType.ping, FrameType.goaway]);

/** Settings of one side. */
export interface Http2Options extends KeepaliveOptions {
  /** What may be on its way to us on one stream, in bytes. */
  readonly windowBytes: number;
  /** Largest frame that we take, in bytes. */
  readonly maxFrameBytes: number;
  /** Settings of our own that go with the others; who does not know one ignores it (RFC 9113 section 6.5.2). */
  readonly extraSettings: readonly (readonly [id: number, value: number])[];
}

/** What a connection tells its owner. */
export interface ConnectionListener {
  /** The other side opened a stream. Only on a server. */
  onStream?(stream: Http2Stream, headers: Headers): void;
  /** It is over; every stream was told before. Once, last. */
  onClose?(error: Error | undefined): void;
  /** May put into better words why the connection was lost. */
  explain?(error: Error): Error;
}

/** See the head of this file. Give it what comes from the socket with {@link receive}. */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #role: 'client' | 'server';
  readonly #listener: ConnectionListener;
  readonly #options: Http2Options;
  readonly #reader: FrameReader;
  readonly #headers = new HeaderReader();
  readonly #sender: FrameSender;
  readonly #keepalive: Keepalive;
  readonly #streams: StreamTable;
  #peerFirstWindow = FIRST_WINDOW_BYTES;
  #unacknowledged = 0;
  #hasSettings = false;
  /** Why the other side ends it, if we are to blame. */
  #blame: Error | undefined;
  #isLeaving = false;
  #isEnding = false;
  #isClosed = false;

  constructor(
    deps: { readonly socket: Socket; readonly listener: ConnectionListener },
    options: Http2Options & { readonly role: 'client' | 'server' },
  ) {
    this.#socket = deps.socket;
    this.#listener = deps.listener;
    this.#role = options.role;
    this.#options = options;
    this.#streams = new StreamTable(options.role);
    this.#reader = new FrameReader(
      {
        onData: (id, bytes) => this.#receiver(id)?.received(bytes),
        onDataEnd: (id, length, isEnd) => this.#onDataEnd(id, length, isEnd),
        onFrame: (header, payload) => this.#onFrame(header, payload),
      },
      { maxFrameBytes: options.maxFrameBytes, isServer: options.role === 'server' },
    );
    this.#keepalive = new Keepalive(
      {
        ping: () => this.#sender.write(frame(FrameType.ping, 0, 0, Buffer.alloc(8))),
        onSilence: () => this.destroy(new Error('the other side gives no sign of life')),
      },
      options,
    );
    this.#sender = new FrameSender(this.#socket, () => this.#keepalive.heard());
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => this.#closed(error));
    this.#socket.on('close', () => this.#closed(new Error('the connection was closed')));
    this.#socket.on('end', () => this.destroy(this.#blame ?? new Error('the other side closed the connection')));
    this.#begin();
  }

  /** Whether new streams may be opened. */
  get isUsable(): boolean {
    return !this.#isLeaving && !this.#isClosed;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** To be told when nothing is read from the socket for a while: the other side's silence then means nothing. */
  set isDeaf(isDeaf: boolean) {
    this.#keepalive.isDeaf = isDeaf;
  }

  /** Takes bytes that came from the socket; they are not kept. */
  receive(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#keepalive.heard();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Opens a stream. Only on a client, while it is usable. */
  open(headers: Headers): Http2Stream {
    const stream = this.#newStream(this.#streams.takeId());
    if (!this.#streams.hasRoom) this.leave();
    this.#sender.writeHeaders({ streamId: stream.id, headers, isEnd: false });
    return stream;
  }

  /** Opens and takes no more streams; the connection ends when the last one has. */
  leave(): void {
    if (this.#isLeaving || this.#isClosed) return;
    this.#isLeaving = true;
    this.#sender.write(goawayFrame(this.#lastTaken, Http2Code.noError));
    this.#endWhenIdle();
  }

  /** Ends it at once. Streams are told. */
  destroy(error?: Error): void {
    this.#closed(error);
    this.#socket.destroy();
  }

  // --- Opening ------------------------------------------------------------------------------------------------------

  #begin(): void {
    const { windowBytes, maxFrameBytes, extraSettings } = this.#options;
    const settings = settingsFrame([
      [Setting.headerTableSize, 0],
      this.#role === 'client' ? [Setting.enablePush, 0] : [Setting.maxConcurrentStreams, MAX_STREAMS],
      [Setting.initialWindowSize, windowBytes],
      [Setting.maxFrameSize, maxFrameBytes],
      ...extraSettings,
    ]);
    // The window of the connection is out of the way: each stream has one of its own.
    const window = numberFrame(FrameType.windowUpdate, 0, MAX_WINDOW_BYTES - FIRST_WINDOW_BYTES);
    this.#sender.write(Buffer.concat([this.#role === 'client' ? CLIENT_PREFACE : NOTHING, settings, window]));
  }

  #newStream(id: number): Http2Stream {
    const stream = new Http2Stream(
      {
        flush: (flushed) => this.#sender.flush(flushed),
        acknowledge: (acknowledged) => this.#acknowledge(acknowledged),
        reset: (code) => this.#sender.answer(numberFrame(FrameType.rstStream, id, code)),
        closed: () => {
          this.#streams.delete(stream);
          this.#sender.forget(stream);
          this.#endWhenIdle();
        },
      },
      { id, sendWindow: this.#peerFirstWindow },
    );
    this.#streams.add(stream);
    return stream;
  }

  // --- Receiving ----------------------------------------------------------------------------------------------------

  /** The stream that DATA is for; undefined when it is over. */
  #receiver(id: number): Http2Stream | undefined {
    if (!this.#hasSettings || this.#headers.isWithinBlock) throw new ProtocolError('data where none may come');
    return this.#streams.findOpen(id);
  }

  #onDataEnd(id: number, length: number, isEnd: boolean): void {
    const { windowBytes } = this.#options;
    const stream = this.#receiver(id);
    this.#unacknowledged += length;
    if (this.#unacknowledged > MAX_WINDOW_BYTES / 2) {
      this.#sender.write(numberFrame(FrameType.windowUpdate, 0, this.#unacknowledged));
      this.#unacknowledged = 0;
    }
    if (stream === undefined) return;
    stream.count(length);
    // Until it has seen our settings the other side goes by the first window.
    if (stream.unacknowledgedBytes > Math.max(windowBytes, FIRST_WINDOW_BYTES)) {
      throw new ProtocolError('more data than the window', Http2Code.flowControlError);
    }
    if (isEnd) stream.receivedEnd();
    else this.#acknowledge(stream);
  }

  #acknowledge(stream: Http2Stream): void {
    const bytes = stream.unacknowledgedBytes;
    if (stream.isPaused || bytes <= this.#options.windowBytes / 2) return;
    stream.count(-bytes);
    this.#sender.write(numberFrame(FrameType.windowUpdate, stream.id, bytes));
  }

  #onFrame(header: FrameHeader, payload: Buffer): void {
    const { type, flags, streamId } = header;
    const isAck = (flags & FrameFlag.ack) !== 0;
    if (!this.#hasSettings && (type !== FrameType.settings || isAck)) {
      throw new ProtocolError('the first frame is no SETTINGS');
    }
    if (this.#headers.isWithinBlock && type !== FrameType.continuation)
      throw new ProtocolError('headers cut by others');
    if (ABOUT_CONNECTION.has(type) && streamId !== 0) throw new ProtocolError(`a frame of type ${type} on a stream`);
    if (type === FrameType.settings) this.#onSettings(isAck, payload);
    else if (type === FrameType.headers || type === FrameType.continuation) this.#onHeaders(header, payload);
    else if (type === FrameType.windowUpdate) this.#onWindowUpdate(streamId, readNumber(payload));
    else if (type === FrameType.rstStream) this.#onReset(streamId, readNumber(payload));
    else if (type === FrameType.ping) this.#onPing(isAck, payload);
    else if (type === FrameType.goaway) this.#onGoaway(payload);
    else if (type === FrameType.pushPromise) throw new ProtocolError('a push, which was forbidden');
    // PRIORITY and what nobody knows yet are to be ignored (RFC 9113 sections 5.3.2 and 5.5).
  }

  #onSettings(isAck: boolean, payload: Buffer): void {
    if (isAck) {
      if (payload.length > 0) throw new ProtocolError('an answer to settings with settings', Http2Code.frameSizeError);
      return;
    }
    this.#hasSettings = true;
    for (const [id, value] of readSettings(payload)) {
      if (id === Setting.maxFrameSize) this.#sender.maxFrameBytes = value;
      if (id !== Setting.initialWindowSize) continue;
      for (const stream of this.#streams.values()) stream.widen(value - this.#peerFirstWindow);
      this.#peerFirstWindow = value;
    }
    this.#sender.answer(frame(FrameType.settings, FrameFlag.ack, 0, NOTHING));
    this.#sender.flushAll();
  }

  #onHeaders(header: FrameHeader, payload: Buffer): void {
    const received = this.#headers.take(header, payload);
    if (received === undefined) return;
    if (this.#streams.isOpenedBy(received.streamId)) {
      this.#accept(received);
      return;
    }
    const stream = this.#streams.findOpen(received.streamId);
    if (this.#role === 'server' && !received.isEnd) throw new ProtocolError('headers in the middle of a request');
    stream?.receivedHeaders(received.headers);
    if (received.isEnd) stream?.receivedEnd();
  }

  #accept({ streamId, headers, isEnd }: StreamHeaders): void {
    if (this.#isLeaving || this.#streams.size >= MAX_STREAMS) {
      this.#sender.answer(numberFrame(FrameType.rstStream, streamId, Http2Code.refusedStream));
      return;
    }
    const stream = this.#newStream(streamId);
    this.#listener.onStream?.(stream, headers);
    if (isEnd) stream.receivedEnd();
  }

  #onReset(streamId: number, code: number): void {
    this.#streams.find(streamId)?.receivedReset(code);
  }

  #onWindowUpdate(streamId: number, increment: number): void {
    const bytes = increment & MAX_WINDOW_BYTES;
    if (bytes === 0) throw new ProtocolError('a window update of nothing');
    if (streamId === 0) {
      this.#sender.widen(bytes);
      return;
    }
    const stream = this.#streams.find(streamId);
    if (stream === undefined) return;
    stream.widen(bytes);
    this.#sender.flush(stream);
  }

  #onPing(isAck: boolean, payload: Buffer): void {
    if (payload.length !== 8) throw new ProtocolError('a ping of a wrong size', Http2Code.frameSizeError);
    if (!isAck) this.#sender.answer(frame(FrameType.ping, FrameFlag.ack, 0, payload));
  }

  #onGoaway(payload: Buffer): void {
    const { lastStreamId, code } = readGoaway(payload);
    this.#isLeaving = true;
    if (code !== Http2Code.noError) this.#blame = new Error(`it ended the connection with HTTP/2 error ${code}`);
    // Streams that were not looked at may be tried elsewhere, but not if all that is missing is TLS.
    const resetCode = code === Http2Code.inadequateSecurity ? code : Http2Code.refusedStream;
    for (const stream of this.#streams.values()) {
      if (this.#role === 'client' && stream.id > lastStreamId) stream.receivedReset(resetCode);
    }
    this.#endWhenIdle();
  }

  // --- Ending -------------------------------------------------------------------------------------------------------

  #endWhenIdle(): void {
    if (!this.#isLeaving || this.#isEnding || this.#isClosed || this.#streams.size > 0) return;
    this.#isEnding = true;
    this.#sender.stop();
    // When all is sent the other side closes too; from one that never reads, keepalive hears nothing.
    this.#socket.end(() => this.#linger());
  }

  /** The last stream of the other side that was looked at: a client's server opens none. */
  get #lastTaken(): number {
    return this.#role === 'server' ? this.#streams.lastId : 0;
  }

  #fail(error: Error): void {
    const code = error instanceof ProtocolError ? error.code : Http2Code.internalError;
    this.#sender.write(goawayFrame(this.#lastTaken, code));
    this.#closed(error);
    this.#socket.end();
    this.#linger();
  }

  /** Closing at once could make the kernel throw away what the other side has not read yet. */
  #linger(): void {
    const timer = setTimeout(() => this.destroy(), LINGER_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #closed(cause: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const error = cause && (this.#listener.explain?.(cause) ?? cause);
    this.#sender.stop();
    this.#keepalive.stop();
    for (const stream of [...this.#streams.values()]) stream.lost(error);
    this.#listener.onClose?.(error);
  }
}
