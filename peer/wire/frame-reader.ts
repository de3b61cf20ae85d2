import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  FrameFlag,
  type FrameHeader,
  FrameType,
  Http2Code,
  ProtocolError,
  readFrameHeader,
  withoutPadding,
} from './frames.js';

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
  #prefaceLeft: number;

  constructor(
    listener: FrameListener,
    options: {
      /** What this side announced as SETTINGS_MAX_FRAME_SIZE. */
      readonly maxFrameBytes: number;
      /** Whether the preface of a client comes first. */
      readonly isServer: boolean;
    },
  ) {
    this.#listener = listener;
    this.#maxFrameBytes = options.maxFrameBytes;
    this.#prefaceLeft = options.isServer ? CLIENT_PREFACE.length : 0;
  }

  /** Takes the next bytes of the connection. Throws {@link ProtocolError} for what is no frame. */
  push(bytes: Buffer): void {
    let at = this.#prefaceLeft === 0 ? 0 : this.#takePreface(bytes);
    while (at < bytes.length) {
      if (this.#frame === undefined) at = this.#takeHead(bytes, at);
      else at = this.#takePayload(this.#frame, bytes, at);
    }
  }

  #takePreface(bytes: Buffer): number {
    const at = CLIENT_PREFACE.length - this.#prefaceLeft;
    const taken = Math.min(this.#prefaceLeft, bytes.length);
    if (CLIENT_PREFACE.compare(bytes, 0, taken, at, at + taken) !== 0) throw new ProtocolError('this is not HTTP/2');
    this.#prefaceLeft -= taken;
    return taken;
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
    if (frame.type !== FrameType.data) {
      this.#listener.onFrame(frame, this.#takeCollected());
      return;
    }
    if (!isPlainData(frame)) this.#listener.onData(frame.streamId, withoutPadding(this.#takeCollected()));
    this.#listener.onDataEnd(frame.streamId, frame.length, (frame.flags & FrameFlag.endStream) !== 0);
  }

  #takeCollected(): Buffer {
    const parts = this.#parts;
    this.#parts = [];
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }
}

function isPlainData({ type, flags }: FrameHeader): boolean {
  return type === FrameType.data && (flags & FrameFlag.padded) === 0;
}
