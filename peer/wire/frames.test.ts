import {
  frame,
  goawayFrame,
  Http2Code,
  numberFrame,
  ProtocolError,
  readFrameHeader,
  readGoaway,
  readNumber,
  readSettings,
  Setting,
  settingsFrame,
} from './frames.js';

const HEADER_BYTES = 9;

function codeOf(attempt: () => unknown): number | undefined {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

function settings(...pairs: (readonly [number, number])[]): Buffer {
  return settingsFrame(pairs).subarray(HEADER_BYTES);
}

it('lays frames out as RFC 9113 draws them', () => {
  expect(frame(0, 1, 0x01020304, Buffer.from('abc')).toString('hex')).toBe(`000003${'00'}01${'01020304'}616263`);
  expect(settingsFrame([[4, 65_535]]).toString('hex')).toBe('00000604000000000000040000ffff');
  expect(numberFrame(8, 5, 1000).toString('hex')).toBe('000004080000000005000003e8');
  expect(goawayFrame(7, 11).toString('hex')).toBe('0000080700000000000000000700 00000b'.replace(' ', ''));
});

it('reads back what it writes', () => {
  const header = { length: 0xabcdef, type: 1, flags: 0x25, streamId: 2 ** 31 - 1 };
  expect(readFrameHeader(frame(1, 0x25, 2 ** 31 - 1, Buffer.alloc(0)))).toEqual({ ...header, length: 0 });
  const pairs = [
    [Setting.maxFrameSize, 16_384],
    [Setting.initialWindowSize, 2 ** 31 - 1],
    [0x5348, 1],
    [Setting.enablePush, 1],
  ] as const;
  expect(readSettings(settings(...pairs))).toEqual(pairs);
  expect(readNumber(numberFrame(3, 1, 0xffff_ffff).subarray(HEADER_BYTES))).toBe(0xffff_ffff);
  expect(readGoaway(goawayFrame(9, 2).subarray(HEADER_BYTES))).toEqual({ lastStreamId: 9, code: 2 });
});

it.each([
  ['half a setting', Buffer.alloc(5), Http2Code.frameSizeError],
  ['frames too small to be allowed', settings([Setting.maxFrameSize, 16_383]), Http2Code.protocolError],
  ['frames of nothing, of which there would be no end', settings([Setting.maxFrameSize, 0]), Http2Code.protocolError],
  ['frames too large to be allowed', settings([Setting.maxFrameSize, 2 ** 24]), Http2Code.protocolError],
  ['a window too large', settings([Setting.initialWindowSize, 2 ** 31]), Http2Code.flowControlError],
  ['push neither on nor off', settings([Setting.enablePush, 2]), Http2Code.protocolError],
])('refuses settings of %s', (_what, payload, code) => {
  expect(codeOf(() => readSettings(payload))).toBe(code);
});

it('refuses numbers and goodbyes of a wrong size', () => {
  for (const length of [0, 3, 5]) {
    expect(codeOf(() => readNumber(Buffer.alloc(length)))).toBe(Http2Code.frameSizeError);
  }
  expect(codeOf(() => readGoaway(Buffer.alloc(7)))).toBe(Http2Code.frameSizeError);
  expect(readGoaway(Buffer.concat([Buffer.alloc(8), Buffer.from('why')]))).toEqual({ lastStreamId: 0, code: 0 });
});
