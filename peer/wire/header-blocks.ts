import { FrameFlag, type FrameHeader, FrameType, frame, Http2Code, ProtocolError, withoutPadding } from './frames.js';
import { decodeHeaders, encodeHeaders, type Headers } from './hpack.js';

/*
 * Headers in frames: a HEADERS frame and, while one is not enough, CONTINUATION frames right behind it (RFC 9113 sections
 * 4.3, 6.2 and 6.10).
 */

const MAX_BLOCK_BYTES = 64 * 1024;
/** Frames without content would otherwise be a way to fill the memory. */
const MAX_BLOCK_FRAMES = 64;
const PRIORITY_BYTES = 5;

/** Headers of one stream. */
export interface StreamHeaders {
  readonly streamId: number;
  readonly headers: Headers;
  /** Nothing follows them on the stream. */
  readonly isEnd: boolean;
}

/** Puts header blocks together. */
export class HeaderReader {
  #open: { readonly streamId: number; readonly isEnd: boolean; readonly parts: Buffer[]; bytes: number } | undefined;

  /** Whether a block has begun: until it is whole, nothing but its continuation may come on the connection. */
  get isWithinBlock(): boolean {
    return this.#open !== undefined;
  }

  /** Takes a HEADERS or CONTINUATION frame; undefined while more has to come. Throws {@link ProtocolError}. */
  take({ type, flags, streamId }: FrameHeader, payload: Buffer): StreamHeaders | undefined {
    if (type === FrameType.headers) {
      this.#open = { streamId, isEnd: (flags & FrameFlag.endStream) !== 0, parts: [], bytes: 0 };
    }
    const open = this.#open;
    if (open?.streamId !== streamId) throw new ProtocolError('a continuation of nothing');
    const part = type === FrameType.headers ? blockIn(flags, payload) : payload;
    open.parts.push(part);
    open.bytes += part.length;
    if (open.bytes > MAX_BLOCK_BYTES || open.parts.length > MAX_BLOCK_FRAMES) {
      throw new ProtocolError('too many headers', Http2Code.enhanceYourCalm);
    }
    if ((flags & FrameFlag.endHeaders) === 0) return undefined;
    this.#open = undefined;
    return { streamId, isEnd: open.isEnd, headers: decodeHeaders(Buffer.concat(open.parts)) };
  }
}

/** The header block in the payload of a HEADERS frame. */
function blockIn(flags: number, payload: Buffer): Buffer {
  const block = (flags & FrameFlag.padded) === 0 ? payload : withoutPadding(payload);
  if ((flags & FrameFlag.priority) === 0) return block;
  if (block.length < PRIORITY_BYTES) {
    throw new ProtocolError('headers without the priority they announce', Http2Code.frameSizeError);
  }
  return block.subarray(PRIORITY_BYTES);
}

/** Headers as frames of at most `maxFrameBytes`, in one piece. */
export function headerFrames(
  { streamId, headers, isEnd }: StreamHeaders,
  { maxFrameBytes }: { readonly maxFrameBytes: number },
): Buffer {
  const block = encodeHeaders(headers);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += maxFrameBytes) {
    const part = block.subarray(at, at + maxFrameBytes);
    const endHeaders = at + part.length === block.length ? FrameFlag.endHeaders : 0;
    const endStream = isEnd && at === 0 ? FrameFlag.endStream : 0;
    frames.push(frame(at === 0 ? FrameType.headers : FrameType.continuation, endHeaders | endStream, streamId, part));
  }
  return Buffer.concat(frames);
}
