import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { FrameSocket } from '../testing/frame-socket.js';
import { FrameFlag, FrameType, frame, Http2Code, ProtocolError, settingsFrame } from './frames.js';
import { decodeHeaders, encodeHeaders, type Headers, headerValue } from './hpack.js';

const open: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

function refusal(block: Buffer): ProtocolError {
  try {
    decodeHeaders(block);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error('this was taken');
}

const anyValue = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

it('reads what it writes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyValue, anyValue)), (headers) => {
      expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
    }),
  );
});

it.each([126, 127, 128, 254, 255, 16_510, 60_000])('reads what it writes, also a value of %i bytes', (length) => {
  const headers: Headers = [['x', 'v'.repeat(length)]];
  expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
});

it('writes every header so that no proxy keeps it', () => {
  expect(encodeHeaders([['a', 'bc']])).toEqual(Buffer.from([0x10, 1, ...Buffer.from('a'), 2, ...Buffer.from('bc')]));
});

it('finds the first value of a name', () => {
  const headers: Headers = [
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
  ];
  expect(headerValue(headers, 'a')).toBe('1');
  expect(headerValue(headers, 'c')).toBeUndefined();
});

describe('the examples of RFC 7541, appendix C', () => {
  const first = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  it.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', [['custom-key', 'custom-header']]],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [[':path', '/sample/path']]],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', [['password', 'secret']]],
    ['C.2.4', '82', [[':method', 'GET']]],
    ['C.3.1', '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', first],
    ['C.4.1', '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', first],
  ])('%s', (_section, hex, headers) => {
    expect(decodeHeaders(bytes(hex))).toEqual(headers);
  });
});

describe('a header block is refused', () => {
  it.each([
    ['that refers to a table we do not have', '8286 84be', '62'],
    ['that refers to entry 0', '80', '0'],
    ['whose name refers to a table we do not have', '7e 00', '62'],
    ['that wants a table', '3f e1 1f', '4096'],
    ['that ends within a number', '7f', 'cut off'],
    ['that ends before a value', '04', 'cut off'],
    ['that ends within a value', '04 05 61 62', 'cut off'],
    ['with a number without end', '7f ff ff ff ff ff 00', 'too large'],
    ['with wrong padding', '04 81 1e', 'padding'],
  ])('%s', (_what, hex, message) => {
    expect(refusal(bytes(hex))).toMatchObject({
      code: Http2Code.compressionError,
      message: expect.stringContaining(message),
    });
  });

  it('or read, and never anything else, whatever is in it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
        try {
          decodeHeaders(Buffer.from(block));
        } catch (error) {
          expect(error).toMatchObject({ name: 'ProtocolError', code: Http2Code.compressionError });
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('but not for saying that it uses no table', () => {
    expect(decodeHeaders(bytes('20 82'))).toEqual([[':method', 'GET']]);
  });
});

/** Names of the static table that node:http2 lets a program send, in its order. */
const STATIC_NAMES = [
  'accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow',
  'authorization cache-control content-disposition content-encoding content-language content-length content-location',
  'content-range content-type cookie date etag expect expires from host if-match if-modified-since if-none-match',
  'if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range',
  'referer refresh retry-after server set-cookie strict-transport-security user-agent vary via www-authenticate',
]
  .join(' ')
  .split(' ');

const anyName = fc.stringMatching(/^x-[a-z0-9-]{1,20}$/);
/** What nghttp2 lets through, at times so that its rare symbols are worth the Huffman code. */
const anyText = fc
  .tuple(
    fc.string({
      unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code === 127 ? 32 : code)),
    }),
    fc.integer({ min: 0, max: 60 }),
  )
  .map(([text, count]) => `${'0'.repeat(count)}${text}1`);
const anyHeaders = fc.dictionary(anyName, anyText, { maxKeys: 12 });

describe("the headers of Node's own HTTP/2", () => {
  /** Headers of the answers to come, and how what came is read. */
  async function answersOf(): Promise<(headers: OutgoingHttpHeaders) => Promise<Headers>> {
    let next: OutgoingHttpHeaders = {};
    const server = createServer((_request, response) => response.stream.respond({ ':status': 200, ...next }));
    server.on('stream', (stream) => stream.on('error', () => undefined));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    open.push(() => void server.close());
    const client = await FrameSocket.hello((server.address() as AddressInfo).port, [[1, 0]]);
    open.push(() => void client.socket.destroy());
    let streamId = -1;
    return async (headers) => {
      next = headers;
      streamId += 2;
      const request: Headers = [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'a'],
      ];
      client.sendHeaders(streamId, request, FrameFlag.endHeaders | FrameFlag.endStream);
      return decodeHeaders((await client.next(FrameType.headers)).payload);
    };
  }

  it('are read as its server wrote them', async () => {
    const answer = await answersOf();
    await fc.assert(
      fc.asyncProperty(anyHeaders, async (headers) => {
        const received = Object.fromEntries(await answer(headers));
        expect(received).toMatchObject({ ':status': '200', ...headers });
      }),
    );
  });

  it('are read where they have names of the static table, and every status of it', async () => {
    const answer = await answersOf();
    const values = Object.fromEntries(STATIC_NAMES.map((name, i) => [name, `value ${i}`]));
    // One that has its own rules in Node.
    const { 'content-length': _length, ...headers } = values;
    expect(Object.fromEntries(await answer({ ...headers, 'set-cookie': ['a value'] }))).toMatchObject({
      ...headers,
      'set-cookie': 'a value',
    });
    for (const status of [200, 204, 206, 304, 400, 404, 500, 418]) {
      expect(await answer({ ':status': status })).toContainEqual([':status', String(status)]);
    }
  });

  it('are read as its client wrote them', async () => {
    const sockets: FrameSocket[] = [];
    const server = createTcpServer((socket: Socket) => {
      const peer = new FrameSocket(socket, { isServer: true });
      peer.send(settingsFrame([[1, 0]]), frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(0)));
      sockets.push(peer);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client: ClientHttp2Session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.on('error', () => undefined);
    open.push(() => {
      client.destroy();
      server.close();
    });
    await once(client, 'remoteSettings');
    await fc.assert(
      fc.asyncProperty(anyHeaders, async (headers) => {
        const request = client.request({ ':path': '/some/path', ...headers } satisfies IncomingHttpHeaders);
        request.on('error', () => undefined);
        const { payload } = (await sockets[0]?.next(FrameType.headers)) ?? { payload: Buffer.alloc(0) };
        expect(Object.fromEntries(decodeHeaders(payload))).toMatchObject({
          ':method': 'GET',
          ':path': '/some/path',
          ...headers,
        });
        request.close();
      }),
    );
  });
});
