/*
 * HTTP/2 frames as they are on the wire, RFC 9113 sections 4 and 6.
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

/** What holds before a SETTINGS frame says otherwise, and what it may say at most, RFC 9113 sections 6.5.2 and 6.9. */
export const FIRST_WINDOW_BYTES = 65_535;
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;
export const FIRST_FRAME_BYTES = 16_384;
const MAX_FRAME_BYTES = 2 ** 24 - 1;

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
  inadequateSecurity: 12,
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

/** The pairs of setting and value in the payload of a SETTINGS frame. Values that the RFC forbids are refused. */
export function readSettings(payload: Buffer): (readonly [id: number, value: number])[] {
  if (payload.length % 6 !== 0) throw new ProtocolError('settings of a wrong size', Http2Code.frameSizeError);
  return Array.from({ length: payload.length / 6 }, (_, i) => {
    const [id, value] = [payload.readUInt16BE(i * 6), payload.readUInt32BE(i * 6 + 2)];
    if (id === Setting.initialWindowSize && value > MAX_WINDOW_BYTES) {
      throw new ProtocolError(`a window of ${value} bytes`, Http2Code.flowControlError);
    }
    if (id === Setting.maxFrameSize && (value < FIRST_FRAME_BYTES || value > MAX_FRAME_BYTES)) {
      throw new ProtocolError(`frames of at most ${value} bytes`);
    }
    if (id === Setting.enablePush && value > 1) throw new ProtocolError(`a push setting of ${value}`);
    return [id, value];
  });
}

/** A frame whose payload is one number of four bytes: WINDOW_UPDATE or RST_STREAM. */
export function numberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, streamId, payload);
}

/** The number in a frame of {@link numberFrame}. */
export function readNumber(payload: Buffer): number {
  if (payload.length !== 4) throw new ProtocolError('a number of a wrong size', Http2Code.frameSizeError);
  return payload.readUInt32BE(0);
}

/** What a GOAWAY frame says: the last stream that was or will be looked at, and why. */
export function readGoaway(payload: Buffer): { readonly lastStreamId: number; readonly code: number } {
  if (payload.length < 8) throw new ProtocolError('a goaway that is too short', Http2Code.frameSizeError);
  return { lastStreamId: payload.readUInt32BE(0) & MAX_WINDOW_BYTES, code: payload.readUInt32BE(4) };
}

/** A GOAWAY frame. */
export function goawayFrame(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeUInt32BE(lastStreamId, 0);
  payload.writeUInt32BE(code, 4);
  return frame(FrameType.goaway, 0, 0, payload);
}
