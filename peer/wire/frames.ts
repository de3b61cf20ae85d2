/*
 * HTTP/2 frames as they are on the wire, RFC 9113 sections 4 and 6. Pure: bytes in, frames out, and the other way round.
 */

export const FRAME_HEADER_BYTES = 9;

/** What a client sends first, RFC 9113 section 3.4. */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Frame types. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Frame flags. ACK and END_STREAM share a bit: which it is depends on the type. */
export const FrameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Settings of a connection, RFC 9113 section 6.5.2. */
export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
} as const;

/** Error codes, RFC 9113 section 7. */
export const Http2Code = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

/** The other side broke the rules of HTTP/2: the connection has to end, with this error code. */
export class ProtocolError extends Error {
  readonly code: number;

  constructor(message: string, code: number = Http2Code.protocolError) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
  }
}

/** What goes before the payload of every frame. */
export interface FrameHeader {
  /** Bytes of payload. */
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/** What a {@link FrameReader} finds. */
export interface FrameListener {
  /** A part of the payload of a DATA frame. `bytes` is a view of what was pushed: copy what must outlive the call. */
  onData(streamId: number, bytes: Buffer): void;
  /** A DATA frame is over. `length` is what flow control counts: padding included. */
  onDataEnd(streamId: number, length: number, isEnd: boolean): void;
  /** Any other frame. `payload` may be kept. */
  onFrame(header: FrameHeader, payload: Buffer): void;
}

/** Payloads of all but DATA frames are collected before they are told of, so they are kept small. */
const MAX_CONTROL_BYTES = 64 * 1024;

/** Cuts a stream of bytes into frames. DATA is handed on as it comes, without a copy. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #maxFrameBytes: number;
  readonly #head = Buffer.alloc(FRAME_HEADER_BYTES);
  #headBytes = 0;
  #frame: FrameHeader | undefined;
  #left = 0;
  #parts: Buffer[] = [];

  /** `maxFrameBytes` is what this side announced as SETTINGS_MAX_FRAME_SIZE. */
  constructor(listener: FrameListener, maxFrameBytes: number) {
    this.#listener = listener;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Takes the next bytes of the connection. Throws {@link ProtocolError} for what is no frame. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#frame === undefined) at = this.#takeHead(bytes, at);
      else at = this.#takePayload(this.#frame, bytes, at);
    }
  }

  #takeHead(bytes: Buffer, at: number): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headBytes, bytes.length - at);
    bytes.copy(this.#head, this.#headBytes, at, at + taken);
    this.#headBytes += taken;
    if (this.#headBytes === FRAME_HEADER_BYTES) {
      this.#headBytes = 0;
      this.#begin(readFrameHeader(this.#head));
    }
    return at + taken;
  }

  #begin(frame: FrameHeader): void {
    const most = frame.type === FrameType.data ? this.#maxFrameBytes : Math.min(this.#maxFrameBytes, MAX_CONTROL_BYTES);
    if (frame.length > most) {
      throw new ProtocolError(`a frame of ${frame.length} bytes, more than ${most}`, Http2Code.frameSizeError);
    }
    this.#frame = frame;
    this.#left = frame.length;
    if (frame.length === 0) this.#finish(frame);
  }

  #takePayload(frame: FrameHeader, bytes: Buffer, at: number): number {
    const part = bytes.subarray(at, at + this.#left);
    this.#left -= part.length;
    if (isPlainData(frame)) this.#listener.onData(frame.streamId, part);
    // What is collected outlives the buffer that it came in.
    else this.#parts.push(Buffer.from(part));
    if (this.#left === 0) this.#finish(frame);
    return at + part.length;
  }

  #finish(frame: FrameHeader): void {
    this.#frame = undefined;
    const payload =
      this.#parts.length === 1 && this.#parts[0] !== undefined ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [];
    if (frame.type !== FrameType.data) {
      this.#listener.onFrame(frame, payload);
      return;
    }
    if (!isPlainData(frame)) this.#listener.onData(frame.streamId, withoutPadding(payload));
    this.#listener.onDataEnd(frame.streamId, frame.length, (frame.flags & FrameFlag.endStream) !== 0);
  }
}

function isPlainData({ type, flags }: FrameHeader): boolean {
  return type === FrameType.data && (flags & FrameFlag.padded) === 0;
}

/** The payload of a padded frame without its padding, RFC 9113 section 6.1. */
export function withoutPadding(payload: Buffer): Buffer {
  const padding = payload[0];
  if (padding === undefined || padding + 1 > payload.length) throw new ProtocolError('more padding than payload');
  return payload.subarray(1, payload.length - padding);
}

/** Reads the 9 bytes before a payload. */
export function readFrameHeader(bytes: Buffer): FrameHeader {
  return {
    length: bytes.readUIntBE(0, 3),
    type: bytes.readUInt8(3),
    flags: bytes.readUInt8(4),
    streamId: bytes.readUInt32BE(5) & 0x7fff_ffff,
  };
}

/** Writes the 9 bytes before a payload. */
export function frameHeader({ length, type, flags, streamId }: FrameHeader): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  bytes.writeUIntBE(length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(streamId, 5);
  return bytes;
}

/** A whole frame. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader({ length: payload.length, type, flags, streamId }), payload]);
}

/** A SETTINGS frame with these pairs of setting and value. */
export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(settings.length * 6);
  settings.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(FrameType.settings, 0, 0, payload);
}

/** The pairs of setting and value in the payload of a SETTINGS frame. */
export function readSettings(payload: Buffer): (readonly [id: number, value: number])[] {
  if (payload.length % 6 !== 0) throw new ProtocolError('settings of a wrong size', Http2Code.frameSizeError);
  return Array.from({ length: payload.length / 6 }, (_, i) => [
    payload.readUInt16BE(i * 6),
    payload.readUInt32BE(i * 6 + 2),
  ]);
}

/** A frame whose payload is one number of four bytes: WINDOW_UPDATE or RST_STREAM. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, streamId, payload);
}

/** A GOAWAY frame. */
export function goawayFrame(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeUInt32BE(lastStreamId, 0);
  payload.writeUInt32BE(code, 4);
  return frame(FrameType.goaway, 0, 0, payload);
}
