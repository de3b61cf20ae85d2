import fc from 'fast-check';
import { FrameReader } from './frame-reader.js';
import { FrameFlag, type FrameHeader, FrameType, Http2Code, ProtocolError } from './frames.js';
import { HeaderReader, headerFrames, type StreamHeaders } from './header-blocks.js';
import { encodeHeaders } from './hpack.js';

/** All headers in these bytes, through the readers of a connection. */
function read(bytes: Buffer): StreamHeaders[] {
  const found: StreamHeaders[] = [];
  const headers = new HeaderReader();
  const reader = new FrameReader(
    {
      onData: () => undefined,
      onDataEnd: () => undefined,
      onFrame: (header, payload) => {
        const whole = headers.take(header, payload);
        expect(headers.isWithinBlock).toBe(whole === undefined);
        if (whole !== undefined) found.push(whole);
      },
    },
    { maxFrameBytes: 1 << 16, isServer: false },
  );
  reader.push(bytes);
  return found;
}

function take(reader: HeaderReader, header: Partial<FrameHeader>, payload: Buffer): StreamHeaders | undefined {
  return reader.take({ type: FrameType.headers, flags: 0, streamId: 1, length: payload.length, ...header }, payload);
}

function refusal(attempt: () => unknown): ProtocolError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('this was taken');
}

const BLOCK = encodeHeaders([['some', 'header']]);

it('comes out as it went in, in as few frames as the size allows', () => {
  const anyText = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)) });
  const anyHeaders = fc.array(fc.tuple(anyText, anyText), { maxLength: 40 });
  fc.assert(
    fc.property(anyHeaders, fc.boolean(), fc.integer({ min: 32, max: 1000 }), (headers, isEnd, maxFrameBytes) => {
      const block = encodeHeaders(headers);
      fc.pre(block.length / maxFrameBytes < 60);
      const frames = headerFrames({ streamId: 5, headers, isEnd }, { maxFrameBytes });
      const count = Math.max(1, Math.ceil(block.length / maxFrameBytes));
      expect(frames).toHaveLength(block.length + count * 9);
      expect(read(frames)).toEqual([{ streamId: 5, headers, isEnd }]);
    }),
  );
});

it('passes over padding and priority', () => {
  const flags = FrameFlag.padded | FrameFlag.priority | FrameFlag.endHeaders;
  const payload = Buffer.concat([Buffer.from([4]), Buffer.alloc(5), BLOCK, Buffer.alloc(4)]);
  expect(take(new HeaderReader(), { flags }, payload)?.headers).toEqual([['some', 'header']]);
});

it('refuses priority that is not there', () => {
  const flags = FrameFlag.priority | FrameFlag.endHeaders;
  expect(refusal(() => take(new HeaderReader(), { flags }, Buffer.alloc(4))).code).toBe(Http2Code.frameSizeError);
});

it('refuses what continues nothing, or another stream', () => {
  const { continuation: type } = FrameType;
  expect(refusal(() => take(new HeaderReader(), { type }, BLOCK)).code).toBe(Http2Code.protocolError);
  const reader = new HeaderReader();
  take(reader, {}, BLOCK);
  expect(refusal(() => take(reader, { type, streamId: 3 }, BLOCK)).code).toBe(Http2Code.protocolError);
});

it('refuses headers without end, be they large or nothing', () => {
  const { continuation: type } = FrameType;
  const large = new HeaderReader();
  take(large, {}, Buffer.alloc(40_000));
  expect(refusal(() => take(large, { type }, Buffer.alloc(40_000))).code).toBe(Http2Code.enhanceYourCalm);
  const empty = new HeaderReader();
  take(empty, {}, Buffer.alloc(0));
  const flood = () => {
    for (let i = 0; i < 10_000; i += 1) take(empty, { type }, Buffer.alloc(0));
  };
  expect(refusal(flood).code).toBe(Http2Code.enhanceYourCalm);
});
