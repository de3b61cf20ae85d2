import type { Socket } from 'node:net';
import {
  CLIENT_PREFACE,
  FrameFlag,
  type FrameHeader,
  FrameReader,
  FrameType,
  frame,
  goawayFrame,
  Http2Code,
  numberFrame,
  ProtocolError,
  readSettings,
  Setting,
  settingsFrame,
  withoutPadding,
} from './frames.js';
import { decodeHeaders, encodeHeaders, type Headers } from './hpack.js';
import { Http2Stream, type StreamListener } from './http2-stream.js';

/*
 * One HTTP/2 connection, as much of RFC 9113 as gRPC needs, either side of it. It exists because of bulk bytes: Node's
 * own HTTP/2 and grpc-js allocate, copy and queue them several times, this hands DATA on where it lies. No priorities,
 * no push, no dynamic header table. What a stream receives is taken at once: who asked for it has room for it.
 */

/** The connection's flow-control window before anything is said, RFC 9113 section 6.9.2. */
const FIRST_WINDOW_BYTES = 65_535;
const FIRST_FRAME_BYTES = 16_384;
const MAX_WINDOW_BYTES = 2 ** 31 - 1;
const MAX_HEADER_BYTES = 64 * 1024;
/** Answers to pings and settings wait in memory when the other side does not read; so many bytes are no accident. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;

/** Settings of one side. */
export interface Http2Options {
  /** What may be on its way to us on one stream, in bytes. */
  readonly windowBytes: number;
  /** Largest frame that we take, in bytes. */
  readonly maxFrameBytes: number;
  /** Settings of our own that go with the others; who does not know one ignores it (RFC 9113 section 6.5.2). */
  readonly extraSettings: readonly (readonly [id: number, value: number])[];
  /** A connection on which nothing came for so long is asked for a sign of life, in milliseconds. */
  readonly keepaliveMs: number;
  /** How long that may take. */
  readonly keepaliveTimeoutMs: number;
}

/** What a connection tells its owner. */
export interface ConnectionListener {
  /** The other side opened a stream. Only on a server. */
  onStream?(stream: Http2Stream, headers: Headers): void;
  /** No new stream may be opened any more. */
  onGoaway?(): void;
  /** It is over; every stream was told before. Once, last. */
  onClose?(error: Error | undefined): void;
}

/** See the head of this file. Give it what comes from the socket with {@link receive}. */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #role: 'client' | 'server';
  readonly #listener: ConnectionListener;
  readonly #options: Http2Options;
  readonly #reader: FrameReader;
  readonly #streams = new Map<number, Http2Stream>();
  #nextStreamId = 1;
  #lastPeerStreamId = 0;
  #sendWindow = FIRST_WINDOW_BYTES;
  #peerFirstWindow = FIRST_WINDOW_BYTES;
  #peerMaxFrame = FIRST_FRAME_BYTES;
  #unacknowledged = 0;
  #headers:
    | { readonly streamId: number; readonly isEnd: boolean; readonly blocks: Buffer[]; bytes: number }
    | undefined;
  #hasSettings = false;
  #prefaceLeft: number;
  #isLeaving = false;
  #isClosed = false;
  #hasHeard = true;
  #keepalive: NodeJS.Timeout;
  #pingTimer: NodeJS.Timeout | undefined;

  constructor(
    deps: { readonly socket: Socket; readonly listener: ConnectionListener },
    options: Http2Options & { readonly role: 'client' | 'server' },
  ) {
    this.#socket = deps.socket;
    this.#listener = deps.listener;
    this.#role = options.role;
    this.#options = options;
    this.#prefaceLeft = options.role === 'server' ? CLIENT_PREFACE.length : 0;
    this.#reader = new FrameReader(
      {
        onData: (id, bytes) => this.#onData(id, bytes),
        onDataEnd: (id, length, isEnd) => this.#onDataEnd(id, length, isEnd),
        onFrame: (header, payload) => this.#onFrame(header, payload),
      },
      options.maxFrameBytes,
    );
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error) => this.#closed(error));
    this.#socket.on('close', () => this.#closed(new Error('the connection was closed')));
    this.#socket.on('end', () => this.destroy(new Error('the other side closed the connection')));
    this.#begin();
    this.#keepalive = setInterval(() => this.#askForLife(), options.keepaliveMs);
    this.#keepalive.unref();
  }

  /** Whether new streams may be opened. */
  get isUsable(): boolean {
    return !this.#isLeaving && !this.#isClosed;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Takes bytes that came from the socket; they are not kept. */
  receive(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#hasHeard = true;
    try {
      let rest = bytes;
      if (this.#prefaceLeft > 0) {
        const at = CLIENT_PREFACE.length - this.#prefaceLeft;
        const part = bytes.subarray(0, this.#prefaceLeft);
        if (CLIENT_PREFACE.compare(part, 0, part.length, at, at + part.length) !== 0) {
          throw new ProtocolError('this is not HTTP/2');
        }
        this.#prefaceLeft -= part.length;
        rest = bytes.subarray(part.length);
      }
      this.#reader.push(rest);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Opens a stream. Only on a client, while it is usable. */
  open(headers: Headers, listener: StreamListener): Http2Stream {
    const stream = this.#newStream(this.#nextStreamId, listener);
    this.#nextStreamId += 2;
    // 2^31 streams are some years of a busy connection, but it must not end in a surprise.
    if (this.#nextStreamId > MAX_WINDOW_BYTES) this.leave();
    this.#writeHeaders(stream.id, headers, false);
    return stream;
  }

  /** Opens and takes no more streams; the connection ends when the last one has. */
  leave(): void {
    if (this.#isLeaving || this.#isClosed) return;
    this.#isLeaving = true;
    this.#write(goawayFrame(this.#lastPeerStreamId, Http2Code.noError));
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
      ...(this.#role === 'client' ? [[Setting.enablePush, 0] as const] : []),
      [Setting.initialWindowSize, windowBytes],
      [Setting.maxFrameSize, maxFrameBytes],
      ...extraSettings,
    ]);
    // The window of the connection is out of the way: each stream has one of its own.
    const window = numberFrame(FrameType.windowUpdate, 0, MAX_WINDOW_BYTES - FIRST_WINDOW_BYTES);
    this.#write(Buffer.concat([this.#role === 'client' ? CLIENT_PREFACE : Buffer.alloc(0), settings, window]));
  }

  #newStream(id: number, listener: StreamListener): Http2Stream {
    const stream = new Http2Stream(
      {
        listener,
        flush: (flushed) => this.#flush(flushed),
        reset: (code) => this.#write(numberFrame(FrameType.rstStream, id, code)),
        closed: () => {
          this.#streams.delete(id);
          this.#endWhenIdle();
        },
      },
      { id, sendWindow: this.#peerFirstWindow },
    );
    this.#streams.set(id, stream);
    return stream;
  }

  // --- Receiving ----------------------------------------------------------------------------------------------------

  #onData(id: number, bytes: Buffer): void {
    this.#streams.get(id)?.received(bytes);
  }

  #onDataEnd(id: number, length: number, isEnd: boolean): void {
    const { windowBytes } = this.#options;
    const stream = this.#streams.get(id);
    if (stream === undefined) this.#refuseUnknown(id);
    this.#unacknowledged += length;
    if (this.#unacknowledged > MAX_WINDOW_BYTES / 2) {
      this.#write(numberFrame(FrameType.windowUpdate, 0, this.#unacknowledged));
      this.#unacknowledged = 0;
    }
    if (stream === undefined) return;
    const consumed = stream.consumed(length);
    if (consumed > windowBytes) throw new ProtocolError('more data than the window', Http2Code.flowControlError);
    if (isEnd) stream.receivedEnd();
    else if (consumed > windowBytes / 2) this.#write(numberFrame(FrameType.windowUpdate, id, stream.takeConsumed()));
  }

  #onFrame(header: FrameHeader, payload: Buffer): void {
    const { type, streamId } = header;
    if (!this.#hasSettings && type !== FrameType.settings) throw new ProtocolError('the first frame is no SETTINGS');
    if (this.#headers !== undefined && type !== FrameType.continuation)
      throw new ProtocolError('headers cut by others');
    if (type === FrameType.settings) this.#onSettings(header, payload);
    else if (type === FrameType.headers) this.#onHeaders(header, payload);
    else if (type === FrameType.continuation) this.#onContinuation(header, payload);
    else if (type === FrameType.windowUpdate) this.#onWindowUpdate(streamId, payload);
    else if (type === FrameType.rstStream) this.#streams.get(streamId)?.receivedReset(numberIn(payload, 4));
    else if (type === FrameType.ping) this.#onPing(header, payload);
    else if (type === FrameType.goaway) this.#onGoaway(payload);
    else if (type === FrameType.pushPromise) throw new ProtocolError('a push, which was forbidden');
    // PRIORITY and what nobody knows yet are to be ignored (RFC 9113 sections 5.3 and 5.5).
  }

  #onSettings({ flags }: FrameHeader, payload: Buffer): void {
    this.#hasSettings = true;
    if ((flags & FrameFlag.ack) !== 0) return;
    for (const [id, value] of readSettings(payload)) {
      if (id === Setting.maxFrameSize) this.#peerMaxFrame = value;
      if (id !== Setting.initialWindowSize) continue;
      if (value > MAX_WINDOW_BYTES) throw new ProtocolError('a window that is too large', Http2Code.flowControlError);
      for (const stream of this.#streams.values()) stream.widen(value - this.#peerFirstWindow);
      this.#peerFirstWindow = value;
    }
    this.#write(frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(0)));
    this.#flushAll();
  }

  #onHeaders({ flags, streamId }: FrameHeader, payload: Buffer): void {
    let block = (flags & FrameFlag.padded) === 0 ? payload : withoutPadding(payload);
    if ((flags & FrameFlag.priority) !== 0) block = block.subarray(5);
    const isEnd = (flags & FrameFlag.endStream) !== 0;
    this.#headers = { streamId, isEnd, blocks: [block], bytes: block.length };
    if ((flags & FrameFlag.endHeaders) !== 0) this.#finishHeaders();
  }

  #onContinuation({ flags, streamId }: FrameHeader, payload: Buffer): void {
    const headers = this.#headers;
    if (headers?.streamId !== streamId) throw new ProtocolError('a continuation of nothing');
    headers.blocks.push(payload);
    headers.bytes += payload.length;
    if (headers.bytes > MAX_HEADER_BYTES) throw new ProtocolError('too many headers', Http2Code.enhanceYourCalm);
    if ((flags & FrameFlag.endHeaders) !== 0) this.#finishHeaders();
  }

  #finishHeaders(): void {
    const { streamId, isEnd, blocks } = this.#headers ?? { streamId: 0, isEnd: false, blocks: [] };
    this.#headers = undefined;
    const headers = decodeHeaders(Buffer.concat(blocks));
    const known = this.#streams.get(streamId);
    if (known !== undefined) known.receivedHeaders(headers, isEnd);
    else if (this.#role === 'server' && streamId % 2 === 1 && streamId > this.#lastPeerStreamId) {
      this.#accept(streamId, headers, isEnd);
    } else this.#refuseUnknown(streamId);
  }

  #accept(streamId: number, headers: Headers, isEnd: boolean): void {
    if (this.#isLeaving) {
      this.#write(numberFrame(FrameType.rstStream, streamId, Http2Code.refusedStream));
      return;
    }
    this.#lastPeerStreamId = streamId;
    const stream = this.#newStream(streamId, {});
    this.#listener.onStream?.(stream, headers);
    if (isEnd) stream.receivedEnd();
  }

  /** What still comes for a stream that is over is ignored; one that never was is against the rules. */
  #refuseUnknown(streamId: number): void {
    const isPast = this.#role === 'client' ? streamId < this.#nextStreamId : streamId <= this.#lastPeerStreamId;
    if (streamId === 0 || streamId % 2 === 0 || !isPast) throw new ProtocolError(`stream ${streamId} does not exist`);
  }

  #onWindowUpdate(streamId: number, payload: Buffer): void {
    const bytes = numberIn(payload, 4) & MAX_WINDOW_BYTES;
    if (bytes === 0) throw new ProtocolError('a window update of nothing');
    if (streamId !== 0) {
      const stream = this.#streams.get(streamId);
      stream?.widen(bytes);
      if (stream !== undefined) this.#flush(stream);
      return;
    }
    this.#sendWindow += bytes;
    if (this.#sendWindow > MAX_WINDOW_BYTES) throw new ProtocolError('too wide a window', Http2Code.flowControlError);
    this.#flushAll();
  }

  #onPing({ flags }: FrameHeader, payload: Buffer): void {
    if (payload.length !== 8) throw new ProtocolError('a ping of a wrong size', Http2Code.frameSizeError);
    if ((flags & FrameFlag.ack) === 0) this.#write(frame(FrameType.ping, FrameFlag.ack, 0, payload));
  }

  #onGoaway(payload: Buffer): void {
    const last = numberIn(payload, 8) & MAX_WINDOW_BYTES;
    this.#isLeaving = true;
    for (const stream of this.#streams.values()) {
      if (this.#role === 'client' && stream.id > last) stream.receivedReset(Http2Code.refusedStream);
    }
    this.#listener.onGoaway?.();
    this.#endWhenIdle();
  }

  // --- Sending ------------------------------------------------------------------------------------------------------

  #writeHeaders(streamId: number, headers: Headers, isEnd: boolean): void {
    const block = encodeHeaders(headers);
    const endStream = isEnd ? FrameFlag.endStream : 0;
    for (let at = 0; at === 0 || at < block.length; at += this.#peerMaxFrame) {
      const part = block.subarray(at, at + this.#peerMaxFrame);
      const endHeaders = at + part.length === block.length ? FrameFlag.endHeaders : 0;
      if (at === 0) this.#write(frame(FrameType.headers, endStream | endHeaders, streamId, part));
      else this.#write(frame(FrameType.continuation, endHeaders, streamId, part));
    }
  }

  #flushAll(): void {
    for (const stream of this.#streams.values()) {
      if (this.#sendWindow <= 0) return;
      this.#flush(stream);
    }
  }

  /** Sends what waits on a stream, as far as the windows let it. */
  #flush(stream: Http2Stream): void {
    if (this.#isClosed) return;
    this.#socket.cork();
    for (;;) {
      const piece = stream.take(Math.min(this.#sendWindow, this.#peerMaxFrame));
      if (piece === undefined) break;
      if (piece.kind === 'headers') this.#writeHeaders(stream.id, piece.headers, piece.isEnd);
      else {
        const { bytes, onSent, isEnd } = piece;
        this.#sendWindow -= bytes.length;
        const flags = isEnd ? FrameFlag.endStream : 0;
        this.#write(stream.dataHeader(bytes.length, flags));
        if (bytes.length > 0) this.#write(bytes, onSent);
      }
    }
    this.#socket.uncork();
  }

  #write(bytes: Buffer, onSent?: () => void): void {
    if (this.#isClosed) {
      onSent?.();
      return;
    }
    // The callback comes when the kernel has the bytes, or when it never will.
    if (onSent === undefined) this.#socket.write(bytes);
    else this.#socket.write(bytes, () => onSent());
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.destroy(new Error('the other side does not read'));
  }

  // --- Ending -------------------------------------------------------------------------------------------------------

  #askForLife(): void {
    if (this.#hasHeard) {
      this.#hasHeard = false;
      return;
    }
    if (this.#pingTimer !== undefined) return;
    this.#write(frame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    this.#pingTimer = setTimeout(() => {
      this.#pingTimer = undefined;
      if (!this.#hasHeard) this.destroy(new Error('the other side gives no sign of life'));
    }, this.#options.keepaliveTimeoutMs);
    this.#pingTimer.unref();
  }

  #endWhenIdle(): void {
    if (!this.#isLeaving || this.#isClosed || this.#streams.size > 0) return;
    this.#socket.end(() => this.destroy());
  }

  #fail(error: Error): void {
    const code = error instanceof ProtocolError ? error.code : Http2Code.internalError;
    this.#write(goawayFrame(this.#lastPeerStreamId, code));
    this.#closed(error);
    this.#socket.destroySoon();
  }

  #closed(error: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#keepalive);
    clearTimeout(this.#pingTimer);
    for (const stream of [...this.#streams.values()]) stream.lost(error);
    this.#listener.onClose?.(error);
  }
}

function numberIn(payload: Buffer, least: number): number {
  if (payload.length < least) throw new ProtocolError('a frame that is too short', Http2Code.frameSizeError);
  return payload.readUInt32BE(0);
}
