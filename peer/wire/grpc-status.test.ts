import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import { ERROR_CODES, ShoalError } from '../../common/errors.js';
import { errorOfEnd, errorOfHeaders, isGrpcAnswer, trailersOf } from './grpc-status.js';
import { decodeHeaders, encodeHeaders, type Headers } from './hpack.js';

const ADDRESS = 'peer-3:4999';

/** What a caller makes of the trailers of a failure, header block included. */
function across(failure: unknown): ShoalError | undefined {
  return errorOfHeaders(decodeHeaders(encodeHeaders(trailersOf(failure))), ADDRESS);
}

it('carries success', () => {
  expect(across(undefined)).toBeUndefined();
});

it.each(ERROR_CODES)('carries %s with its hint and details', (code) => {
  const failure = new ShoalError(code, 'naïve 文件 "100%"\nsecond line', { hint: 'größer', details: { a: ['b', 1] } });
  expect(across(failure)).toMatchObject({
    code,
    message: failure.message,
    hint: 'größer',
    details: { a: ['b', 1] },
  });
});

it('carries any message, as printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (message) => {
      const trailers = trailersOf(new ShoalError('invalid', message));
      for (const [, value] of trailers) expect(value).toMatch(/^[ -~]*$/);
      expect(errorOfHeaders(trailers, ADDRESS)?.message).toBe(message);
    }),
  );
});

it('carries half a character as one that is unknown', () => {
  expect(across(new ShoalError('invalid', 'a\ud800b'))?.message).toBe('a\ufffdb');
});

it('shows a message as it is that nobody encoded', () => {
  const headers: Headers = [
    ['grpc-status', '5'],
    ['grpc-message', '100% gone'],
  ];
  expect(errorOfHeaders(headers, ADDRESS)).toMatchObject({ code: 'not_found', message: '100% gone' });
});

it('goes by the status where the details are none', () => {
  const garbage = Buffer.from('no protobuf at all, is it').toString('base64');
  for (const details of [garbage, '!!!', '']) {
    const headers: Headers = [
      ['grpc-status', '7'],
      ['grpc-message', 'no'],
      ['grpc-status-details-bin', details],
    ];
    expect(errorOfHeaders(headers, ADDRESS)).toMatchObject({ code: 'denied', message: 'no' });
  }
});

/** Trailers with a google.rpc.Status whose ErrorInfo is one of ours, by hand: with these details. */
function trailersWith(details: string): Headers {
  const field = (tag: number, content: string | Buffer) =>
    Buffer.concat([Buffer.from([tag, content.length]), Buffer.from(content)]);
  const entry = Buffer.concat([field(0x0a, 'details'), field(0x12, details)]);
  const info = Buffer.concat([field(0x0a, 'not_found'), field(0x12, 'shoal'), field(0x1a, entry)]);
  const any = Buffer.concat([field(0x0a, 'type.googleapis.com/google.rpc.ErrorInfo'), field(0x12, info)]);
  return [
    ['grpc-status', '7'],
    ['grpc-message', 'no'],
    ['grpc-status-details-bin', field(0x1a, any).toString('base64')],
  ];
}

it('goes by the status where the details in the details are no JSON', () => {
  expect(errorOfHeaders(trailersWith('{"a":1}'), ADDRESS)).toMatchObject({ code: 'not_found', details: { a: 1 } });
  expect(errorOfHeaders(trailersWith('{"a":'), ADDRESS)).toMatchObject({ code: 'denied', message: 'no' });
  expect(errorOfHeaders(trailersWith('null'), ADDRESS)).toMatchObject({ code: 'not_found', details: {} });
});

it.each([
  ['nothing', [], 'internal', 'without a status'],
  ['a page that was moved', [[':status', '302']], 'unavailable', 'HTTP 302'],
  ['HTTP alone', [[':status', '200']], 'unavailable', 'HTTP 200'],
  ['a status that is no number', [['grpc-status', 'OK'] as const], 'internal', 'without a status'],
  ['a status of gRPC that nobody knows', [['grpc-status', '42'] as const], 'internal', ''],
] satisfies [string, Headers, string, string][])('makes something of %s', (_what, headers, code, message) => {
  expect(errorOfHeaders(headers, ADDRESS)).toMatchObject({ code, message: expect.stringContaining(message) });
});

it.each([
  ['200', 'application/grpc', true],
  ['200', 'application/grpc+proto', true],
  ['200', 'text/html', false],
  ['503', 'application/grpc', false],
])('takes %s %s for an answer of gRPC: %p', (status, type, is) => {
  expect(
    isGrpcAnswer([
      [':status', status],
      ['content-type', type],
    ]),
  ).toBe(is);
});

it.each([
  [0, 'internal'],
  [1, 'internal'],
  [2, 'internal'],
  [3, 'internal'],
  [4, 'internal'],
  [5, 'internal'],
  [6, 'internal'],
  [7, 'unavailable'],
  [8, 'cancelled'],
  [9, 'internal'],
  [10, 'internal'],
  [11, 'throttled'],
  [12, 'denied'],
  [13, 'internal'],
  [99, 'internal'],
])('tells a stream that was reset with %i as gRPC has it: %s', (resetCode, code) => {
  expect(errorOfEnd({ resetCode, cause: undefined }, ADDRESS)).toMatchObject({
    code,
    message: expect.stringContaining(ADDRESS),
  });
});

it('keeps the cause of a lost connection', () => {
  const cause = new Error('connect ECONNREFUSED');
  expect(errorOfEnd({ resetCode: undefined, cause }, ADDRESS)).toMatchObject({
    code: 'unavailable',
    message: `${ADDRESS}: connect ECONNREFUSED`,
    cause,
  });
  expect(errorOfEnd({ resetCode: undefined, cause: undefined }, ADDRESS).code).toBe('unavailable');
});

it('writes details that grpc-js reads', () => {
  const trailers = Object.fromEntries(trailersOf(new ShoalError('conflict', 'taken')));
  const [details] = Metadata.fromHttp2Headers(trailers).get('grpc-status-details-bin');
  expect(details).toBeInstanceOf(Buffer);
  expect(details?.toString()).toContain('google.rpc.ErrorInfo');
});
