import fc from 'fast-check';
import { FrameReader } from './frame-reader.js';
import { CLIENT_PREFACE, FrameFlag, FrameType, frame, frameHeader, Http2Code, ProtocolError } from './frames.js';

const MAX_FRAME_BYTES = 1 << 17;

interface Seen {
  type: number;
  flags: number;
  streamId: number;
  payload: Buffer;
  /** What flow control counts. */
  length: number;
}

/** What a reader makes of these bytes, which it gets in these pieces. Pieces are spoilt afterwards, as a socket's buffer is. */
function read(pieces: readonly Buffer[], isServer = false): Seen[] {
  const seen: Seen[] = [];
  let data = Buffer.alloc(0);
  const reader = new FrameReader(
    {
      onData: (_id, bytes) => {
        data = Buffer.concat([data, bytes]);
      },
      onDataEnd: (streamId, length, isEnd) => {
        seen.push({ type: FrameType.data, flags: isEnd ? FrameFlag.endStream : 0, streamId, payload: data, length });
        data = Buffer.alloc(0);
      },
      onFrame: (header, payload) => seen.push({ ...header, payload }),
    },
    { maxFrameBytes: MAX_FRAME_BYTES, isServer },
  );
  for (const piece of pieces) {
    const copy = Buffer.from(piece);
    reader.push(copy);
    copy.fill(0xee);
  }
  return seen;
}

/** `bytes` cut at these fractions of its length. */
function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((fraction) => Math.floor(fraction * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const anyCuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });

const anyFrame = fc.record({
  type: fc.integer({ min: 0, max: 12 }),
  isEnd: fc.boolean(),
  streamId: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  padding: fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
});

it('finds the same frames however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 20 }), anyCuts, fc.boolean(), (frames, cuts, isServer) => {
      const wire: Buffer[] = isServer ? [CLIENT_PREFACE] : [];
      const expected = frames.map(({ type, isEnd, streamId, payload, padding }): Seen => {
        const flags = isEnd ? FrameFlag.endStream : 0;
        const isPadded = type === FrameType.data && padding !== undefined;
        const sent = isPadded ? Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]) : payload;
        wire.push(frame(type, flags | (isPadded ? FrameFlag.padded : 0), streamId, sent));
        return { type, flags, streamId, payload, length: sent.length };
      });
      expect(read(cut(Buffer.concat(wire), cuts), isServer)).toEqual(expected);
    }),
  );
});

it('hands DATA on as it comes, without waiting for the end of the frame', () => {
  const parts: string[] = [];
  const reader = new FrameReader(
    {
      onData: (_id, bytes) => parts.push(bytes.toString()),
      onDataEnd: () => parts.push('end'),
      onFrame: () => undefined,
    },
    { maxFrameBytes: MAX_FRAME_BYTES, isServer: false },
  );
  const bytes = frame(FrameType.data, 0, 1, Buffer.from('abcdef'));
  reader.push(bytes.subarray(0, 12));
  expect(parts).toEqual(['abc']);
  reader.push(bytes.subarray(12));
  expect(parts).toEqual(['abc', 'def', 'end']);
});

it('ignores the reserved bit of a stream number', () => {
  const bytes = frame(FrameType.ping, 0, 3, Buffer.alloc(8));
  bytes.writeUInt8(0x80, 5);
  expect(read([bytes])).toMatchObject([{ streamId: 3 }]);
});

function refusal(bytes: Buffer, isServer = false): ProtocolError {
  try {
    read([bytes], isServer);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('this was taken');
}

describe('a reader refuses', () => {
  it('frames larger than it announced, as soon as their header is there', () => {
    const header = { flags: 0, streamId: 1 };
    const most = frame(FrameType.data, 0, 1, Buffer.alloc(MAX_FRAME_BYTES));
    expect(read([most])).toMatchObject([{ length: MAX_FRAME_BYTES }]);
    const error = refusal(frameHeader({ ...header, type: FrameType.data, length: MAX_FRAME_BYTES + 1 }));
    expect(error).toMatchObject({ code: Http2Code.frameSizeError, message: expect.stringContaining('131073') });
  });

  it.each([
    ['HEADERS', FrameType.headers],
    ['a frame nobody knows', 200],
  ])('%s that would fill the memory', (_what, type) => {
    const most = frame(type, 0, 1, Buffer.alloc(64 * 1024));
    expect(read([most])).toHaveLength(1);
    const error = refusal(frameHeader({ type, flags: 0, streamId: 1, length: 64 * 1024 + 1 }));
    expect(error.code).toBe(Http2Code.frameSizeError);
  });

  it.each([
    ['as long as the payload', Buffer.from([3, 1, 2])],
    ['longer', Buffer.from([200, 1, 2])],
    ['that is not there', Buffer.alloc(0)],
  ])('padding %s', (_what, payload) => {
    expect(refusal(frame(FrameType.data, FrameFlag.padded, 1, payload)).code).toBe(Http2Code.protocolError);
  });

  it('what does not begin like HTTP/2', () => {
    expect(refusal(Buffer.from('GET / HTTP/1.1\r\n'), true).message).toContain('not HTTP/2');
    const almost = Buffer.from(CLIENT_PREFACE);
    almost.writeUInt8(0, almost.length - 1);
    expect(refusal(almost, true).code).toBe(Http2Code.protocolError);
  });
});
