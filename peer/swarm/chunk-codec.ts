/*
 * The hot message of the swarm, ExchangeResponse{chunk}, encoded and decoded by hand: the general codec copies the bytes
 * twice on each side. The wire form is plain protobuf (https://protobuf.dev/programming-guides/encoding/), so that any
 * gRPC client can read it:
 *
 *   22 LEN  08 INDEX  10 OFFSET  1a LEN  BYTES
 */

/** A chunk's bytes, or a part of them, on its way. */
export interface ChunkPart {
  readonly index: number;
  readonly offset: number;
  readonly data: Buffer;
}

const CHUNK_FIELD = 0x22;
const INDEX_FIELD = 0x08;
const OFFSET_FIELD = 0x10;
const DATA_FIELD = 0x1a;

/** Room that must be kept free before the bytes: three tags, a tag, and four lengths or numbers of at most 5 bytes. */
const HEADROOM = 24;

/** A message being made: read the chunk's bytes into `data`, then call {@link finishChunkFrame}. */
export interface ChunkFrame {
  readonly buffer: Buffer;
  readonly data: Buffer;
}

/** Memory for a message with so many bytes of a chunk. */
export function newChunkFrame(dataBytes: number, buffers: { take(bytes: number): Buffer }): ChunkFrame {
  const buffer = buffers.take(HEADROOM + dataBytes);
  return { buffer, data: buffer.subarray(HEADROOM) };
}

/** Writes the header right before the bytes, so that nothing is copied. Returns the whole message. */
export function finishChunkFrame(frame: ChunkFrame, index: number, offset: number): Buffer {
  const inner =
    1 + varintBytes(index) + (offset === 0 ? 0 : 1 + varintBytes(offset)) + 1 + varintBytes(frame.data.length);
  const header = 1 + varintBytes(inner + frame.data.length) + inner;
  const start = HEADROOM - header;
  let at = start;
  const { buffer } = frame;
  const number = (field: number, value: number) => {
    buffer[at] = field;
    at = writeVarint(buffer, value, at + 1);
  };
  number(CHUNK_FIELD, inner + frame.data.length);
  number(INDEX_FIELD, index);
  if (offset !== 0) number(OFFSET_FIELD, offset);
  number(DATA_FIELD, frame.data.length);
  return buffer.subarray(start);
}

/**
 * The chunk part in a serialised ExchangeResponse, its data a view of `message`; undefined when the message is another
 * one, or a chunk whose fields stand in another order (then the general codec reads it).
 */
export function readChunkPart(message: Buffer): ChunkPart | undefined {
  if (message[0] !== CHUNK_FIELD) return undefined;
  const reader = new VarintReader(message, 1);
  const length = reader.next();
  if (length === undefined || reader.at + length !== message.length) return undefined;
  let index = 0;
  let offset = 0;
  if (message[reader.at] === INDEX_FIELD) index = reader.field() ?? Number.NaN;
  if (message[reader.at] === OFFSET_FIELD) offset = reader.field() ?? Number.NaN;
  if (message[reader.at] !== DATA_FIELD) return undefined;
  const dataLength = reader.field();
  if (dataLength === undefined || reader.at + dataLength !== message.length) return undefined;
  if (Number.isNaN(index) || Number.isNaN(offset)) return undefined;
  return { index, offset, data: message.subarray(reader.at) };
}

class VarintReader {
  readonly #buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer;
    this.at = at;
  }

  /** The varint here, at most 32 bits; undefined when there is none. */
  next(): number | undefined {
    let value = 0;
    for (let shift = 1; shift <= 2 ** 28; shift *= 128) {
      const byte = this.#buffer[this.at];
      if (byte === undefined) return undefined;
      this.at += 1;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value <= 0xffff_ffff ? value : undefined;
    }
    return undefined;
  }

  /** The varint behind the tag here. */
  field(): number | undefined {
    this.at += 1;
    return this.next();
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

function writeVarint(buffer: Buffer, value: number, at: number): number {
  let rest = value;
  let place = at;
  while (rest >= 128) {
    buffer[place] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
    place += 1;
  }
  buffer[place] = rest;
  return place + 1;
}
