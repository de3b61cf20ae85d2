import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { Server as GrpcServer, Metadata, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { toGrpcError } from '../grpc.js';
import { FrameSocket } from '../testing/frame-socket.js';
import { waitFor } from '../testing/wait-for.js';
import { newDialer, TestCall } from '../testing/wire-calls.js';
import type { CallDialerOptions } from './call-dialer.js';
import { FrameFlag, FrameType, frame, goawayFrame, Http2Code, numberFrame, Setting, settingsFrame } from './frames.js';
import { messagePrefix } from './grpc-messages.js';

const MIB = 1 << 20;
const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function dialer(options: Partial<CallDialerOptions> = {}) {
  const made = newDialer(options);
  open.push(() => made.close());
  return made;
}

function addressOf(server: TcpServer | Http2Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function message(content: string | Buffer): Buffer {
  return Buffer.concat([messagePrefix(content.length), Buffer.from(content)]);
}

function sizes(buffers: readonly Buffer[]): number[] {
  return buffers.map(({ length }) => length);
}

describe('a call to grpc-js', () => {
  const bytes = (value: Buffer) => value;
  const ECHO = {
    path: '/test.Echo/Echo',
    requestStream: true,
    responseStream: true,
    ...{ requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
  };

  async function grpcServer(echo: (call: ServerDuplexStream<Buffer, Buffer>) => void, port = 0): Promise<string> {
    const server = new GrpcServer({ 'grpc.max_receive_message_length': -1 });
    server.addService({ Echo: ECHO }, { Echo: echo });
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
        error === null ? resolve(at) : reject(error),
      );
    });
    open.push(() => server.forceShutdown());
    return `127.0.0.1:${bound}`;
  }

  it('brings messages of any size there and back, in order', async () => {
    const address = await grpcServer((call) => {
      call.on('data', (request: Buffer) => call.write(request));
    });
    const call = new TestCall(dialer(), address);
    const messages = [0, 1, 4, 5, 1000, 16_384, 70_000, 4 * MIB, 3, 1_500_000, 0].map((size) => randomBytes(size));
    call.send(...messages);
    await call.received(messages.length);
    expect(sizes(call.messages)).toEqual(sizes(messages));
    expect(Buffer.concat(call.messages).equals(Buffer.concat(messages))).toBe(true);
    call.close();
  });

  it('shows the ticket, and whom it calls', async () => {
    const seen: Metadata[] = [];
    const paths: string[] = [];
    const address = await grpcServer((call) => {
      seen.push(call.metadata);
      paths.push(`${call.getHost()} ${call.getPath()}`);
      call.end();
    });
    expect(await new TestCall(dialer(), address).ended()).toBeUndefined();
    expect(seen[0]?.get('authorization')).toEqual(['Bearer some-ticket']);
    expect(paths).toEqual([`${address} /test.Echo/Echo`]);
  });

  it('ends well after all that was said', async () => {
    const address = await grpcServer((call) => {
      for (let i = 0; i < 100; i += 1) call.write(Buffer.alloc(10_000, i));
      call.end();
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeUndefined();
    expect(call.messages.map((each) => each[9_999])).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(call.ends).toHaveLength(1);
  });

  it('says that all is asked, after what is asked', async () => {
    const address = await grpcServer((call) => {
      const sizes: number[] = [];
      call.on('data', (request: Buffer) => sizes.push(request.length));
      call.on('end', () => {
        call.write(Buffer.from(sizes.join()));
        call.end();
      });
    });
    const call = new TestCall(dialer(), address);
    // More than the window that a server begins with.
    call.send(Buffer.alloc(1_000_000), Buffer.alloc(1));
    call.sendEnd();
    call.send(Buffer.alloc(2));
    expect(await call.ended()).toBeUndefined();
    expect(call.messages.map(String)).toEqual(['1000000,1']);
  });

  const FAILURE = new ShoalError('denied', 'наша 文件 100% naïve', { hint: 'frag Zoë', details: { files: ['a'] } });

  it.each([
    ['at once', 0],
    ['after a message', 1],
  ])('tells a failure of ours that comes %s', async (_when, count) => {
    const address = await grpcServer((call) => {
      for (let i = 0; i < count; i += 1) call.write(Buffer.from('first'));
      call.emit('error', toGrpcError(FAILURE));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toMatchObject({
      code: 'denied',
      message: FAILURE.message,
      hint: FAILURE.hint,
      details: FAILURE.details,
    });
    expect(call.messages).toHaveLength(count);
  });

  it('tells a failure of anybody else by its status', async () => {
    const address = await grpcServer((call) =>
      call.emit('error', { code: status.ABORTED, details: 'again, please', metadata: new Metadata() }),
    );
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({ code: 'conflict', message: 'again, please' });
  });

  it('tells of a method that is not there', async () => {
    const address = await grpcServer(() => undefined);
    const call = new TestCall(dialer(), address, '/test.Echo/Nothing');
    expect(await call.ended()).toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('/test.Echo/Nothing'),
    });
  });

  it('is cancelled there when it is closed here, and its neighbour goes on', async () => {
    const cancelled: string[] = [];
    const address = await grpcServer((call) => {
      call.on('data', (request: Buffer) => {
        call.write(request);
        call.on('cancelled', () => cancelled.push(request.toString()));
      });
    });
    const shared = dialer();
    const [one, other] = [new TestCall(shared, address), new TestCall(shared, address)];
    one.send('one');
    other.send('other');
    await Promise.all([one.received(1), other.received(1)]);
    one.close();
    await waitFor('the call to be cancelled', () => cancelled.length > 0);
    expect(cancelled).toEqual(['one']);
    other.send('more');
    expect((await other.received(2)).at(-1)?.toString()).toBe('more');
    expect(one.ends).toEqual([]);
  });

  it('goes through again when the server has come back on its port', async () => {
    const echo = (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (request: Buffer) => call.write(request));
    };
    const address = await grpcServer(echo);
    const shared = dialer();
    const first = new TestCall(shared, address);
    first.send('hello');
    await first.received(1);
    await open.splice(0, 1)[0]?.();
    expect(await first.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining(address) });
    await grpcServer(echo, Number(address.split(':')[1]));
    const second = new TestCall(shared, address);
    second.send('again');
    expect((await second.received(1)).toString()).toBe('again');
  });

  it('finds it by name', async () => {
    const address = await grpcServer((call) => call.end());
    expect(await new TestCall(dialer(), address.replace('127.0.0.1', 'localhost')).ended()).toBeUndefined();
  });
});

describe('a call to a server that is not as it should be', () => {
  const GRPC = { ':status': 200, 'content-type': 'application/grpc' };

  /** A real HTTP/2 server that answers every request like this. */
  async function http2Server(
    answer: (stream: ServerHttp2Stream) => void,
    options: Parameters<typeof createHttp2Server>[0] = {},
  ): Promise<string> {
    const server = createHttp2Server(options);
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', (session) => sessions.add(session));
    server.on('sessionError', () => undefined);
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      answer(stream);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    open.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    return addressOf(server);
  }

  function trailers(stream: ServerHttp2Stream, headers: Record<string, string>): void {
    stream.on('wantTrailers', () => stream.sendTrailers(headers));
  }

  it.each([
    [404, 'text/html'],
    [503, 'text/plain'],
    [200, 'text/html'],
    [503, 'application/grpc'],
  ])('gets HTTP %i %s', async (httpStatus, type) => {
    const address = await http2Server((stream) => {
      stream.respond({ ':status': httpStatus, 'content-type': type });
      stream.end('<html>no such thing</html>');
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toMatchObject({
      code: 'unavailable',
      message: `the answer of ${address}, HTTP ${httpStatus}, is not gRPC`,
    });
    expect(call.messages).toEqual([]);
  });

  it('passes over what is said before the answer', async () => {
    const address = await http2Server((stream) => {
      stream.additionalHeaders({ ':status': 103, link: 'something' });
      stream.respond(GRPC, { waitForTrailers: true });
      trailers(stream, { 'grpc-status': '0' });
      stream.end(message('the answer'));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeUndefined();
    expect(call.messages.toString()).toBe('the answer');
  });

  it('gets no status', async () => {
    const address = await http2Server((stream) => {
      stream.respond(GRPC);
      stream.end(message('a'));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('not gRPC') });
    expect(call.messages.toString()).toBe('a');
  });

  it('gets half a message', async () => {
    const address = await http2Server((stream) => {
      stream.respond(GRPC, { waitForTrailers: true });
      trailers(stream, { 'grpc-status': '0' });
      stream.end(message('whole').subarray(0, 7));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toMatchObject({
      code: 'internal',
      message: expect.stringContaining('within a message'),
    });
    expect(call.messages).toEqual([]);
  });

  it.each([
    ['compressed', Buffer.from([1, 0, 0, 0, 1, 7]), 'invalid'],
    ['too large', messagePrefix(8 * MIB + 1), 'too_large'],
  ])('gets a message that is %s, and goes on with others', async (_what, wrong, code) => {
    const streams: ServerHttp2Stream[] = [];
    const sessions = new Set<unknown>();
    const address = await http2Server((stream) => {
      streams.push(stream);
      sessions.add(stream.session);
      stream.respond(GRPC);
      stream.write(streams.length === 1 ? wrong : message('good'));
    });
    const shared = dialer();
    expect(await new TestCall(shared, address).ended()).toMatchObject({ code });
    await waitFor('the stream to be reset', () => streams[0]?.rstCode === Http2Code.cancel);
    expect((await new TestCall(shared, address).received(1)).toString()).toBe('good');
    expect(sessions.size).toBe(1);
  });

  it.each([0, 1, 2, 3, 5, 6, 7, 8, 9, 11, 12])('is reset with %i', async (code) => {
    const address = await http2Server((stream) => {
      stream.respond(GRPC);
      stream.write(message('before'), () => stream.close(code));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeInstanceOf(ShoalError);
    expect(call.ends).toHaveLength(1);
  });

  it('lets calls finish that are under way at a goaway, and connects anew for the next', async () => {
    const sessions = new Set<unknown>();
    const streams: ServerHttp2Stream[] = [];
    const address = await http2Server((stream) => {
      sessions.add(stream.session);
      streams.push(stream);
      stream.respond(GRPC, { waitForTrailers: true });
      trailers(stream, { 'grpc-status': '0' });
      stream.write(message('first'));
    });
    const shared = dialer();
    const under = new TestCall(shared, address);
    await under.received(1);
    streams[0]?.session?.goaway(0);
    // The answer to a ping comes after the goaway has been looked at.
    await new Promise((resolve) => streams[0]?.session?.ping(resolve));
    const next = new TestCall(shared, address);
    await next.received(1);
    streams[0]?.end(message('last'));
    expect(await under.ended()).toBeUndefined();
    expect(under.messages.toString()).toBe('first,last');
    expect(sessions.size).toBe(2);
    await waitFor('the old connection to be closed', () => (streams[0]?.session ?? undefined) === undefined);
  });

  it('takes more headers than one frame holds, and refuses more than are sensible', async () => {
    const large = { ...GRPC, 'x-large': 'x'.repeat(50_000) };
    const address = await http2Server(
      (stream) => {
        stream.respond(large, { waitForTrailers: true });
        trailers(stream, { 'grpc-status': '0' });
        stream.end();
      },
      { maxSendHeaderBlockLength: 1 << 20 },
    );
    expect(await new TestCall(dialer(), address).ended()).toBeUndefined();
    large['x-large'] = 'x'.repeat(200_000);
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('too many headers'),
    });
  });

  it('sends requests as the windows of the server let it', async () => {
    const address = await http2Server(
      (stream) => {
        stream.respond(GRPC, { waitForTrailers: true });
        let bytes = Buffer.alloc(0);
        stream.on('data', (data: Buffer) => {
          bytes = Buffer.concat([bytes, data]);
          if (bytes.length < 200_005) return;
          trailers(stream, { 'grpc-status': '0' });
          stream.end(bytes);
        });
      },
      { settings: { initialWindowSize: 100, maxFrameSize: 16_384 } },
    );
    const call = new TestCall(dialer(), address);
    const request = randomBytes(200_000);
    call.send(request);
    expect(await call.ended()).toBeUndefined();
    expect(sizes(call.messages)).toEqual([request.length]);
    expect(call.messages[0]?.equals(request)).toBe(true);
  });

  /** A server that lets the test say each frame. */
  async function rawServer(answer: (peer: FrameSocket) => Promise<void> | void): Promise<string> {
    const server = createTcpServer((socket) => void answer(new FrameSocket(socket, { isServer: true })));
    return await listen(server);
  }

  async function listen(server: TcpServer): Promise<string> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    open.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return addressOf(server);
  }

  it.each([
    ['a page of HTTP/1', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['garbage', '\x16\x03\x01\x00\x00garbage that goes on and on'],
  ])('gets %s', async (_what, text) => {
    const address = await listen(createTcpServer((socket) => void socket.end(text, 'latin1')));
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({ code: 'unavailable' });
  });

  it('is cut off in the middle of a frame', async () => {
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      await peer.next(FrameType.headers);
      peer.sendHeaders(1, [
        [':status', '200'],
        ['content-type', 'application/grpc'],
      ]);
      peer.send(
        frame(FrameType.data, 0, 1, message('whole')),
        frame(FrameType.data, 0, 1, message('half')).subarray(0, 12),
      );
      peer.socket.end();
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toMatchObject({ code: 'unavailable' });
    expect(call.messages.toString()).toBe('whole');
    expect(call.ends).toHaveLength(1);
  });

  it('learns of a goaway that blames it', async () => {
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      await peer.next(FrameType.headers);
      peer.send(goawayFrame(1, Http2Code.enhanceYourCalm));
      peer.socket.end();
    });
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('HTTP/2 error 11'),
    });
  });

  it('learns that it came too late when the server was about to leave', async () => {
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      await peer.next(FrameType.headers);
      peer.send(goawayFrame(0, Http2Code.noError));
    });
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no more calls'),
    });
  });

  it('gives up on a server that answers no ping', async () => {
    const address = await listen(createTcpServer(() => undefined));
    const call = new TestCall(dialer({ keepaliveMs: 20, keepaliveTimeoutMs: 20 }), address);
    expect(await call.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('sign of life') });
  });

  it('waits for a server that answers pings', async () => {
    let pings = 0;
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      for (; pings < 10; pings += 1) {
        const { payload } = await peer.next(FrameType.ping);
        peer.send(frame(FrameType.ping, FrameFlag.ack, 0, payload));
      }
    });
    const call = new TestCall(dialer({ keepaliveMs: 5, keepaliveTimeoutMs: 1_000 }), address);
    await waitFor('ten pings', () => pings === 10);
    expect(call.ends).toEqual([]);
  });

  it('acknowledges what it has taken, in time', async () => {
    const total = 3 * MIB;
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([[Setting.headerTableSize, 0]]));
      await peer.next(FrameType.headers);
      peer.sendHeaders(1, [
        [':status', '200'],
        ['content-type', 'application/grpc'],
      ]);
      const bytes = message(Buffer.alloc(total, 7));
      let window = 100_000;
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + Math.min(window, 16_384));
        peer.sendData(1, part);
        at += part.length;
        window -= part.length;
        while (window === 0) {
          const update = await peer.next(FrameType.windowUpdate);
          if (update.streamId === 1) window += update.payload.readUInt32BE(0);
        }
      }
    });
    const call = new TestCall(dialer({ windowBytes: 100_000 }), address);
    const [received] = await call.received(1);
    expect(received?.equals(Buffer.alloc(total, 7))).toBe(true);
  });

  it('hangs up on a server that sends more than it may', async () => {
    const seen: number[] = [];
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      await peer.next(FrameType.headers);
      peer.sendHeaders(1, [
        [':status', '200'],
        ['content-type', 'application/grpc'],
      ]);
      // In one frame, so that nothing of it is acknowledged before all is there.
      peer.sendData(1, message(Buffer.alloc(100_001)));
      seen.push((await peer.next(FrameType.goaway)).payload.readUInt32BE(4));
    });
    const call = new TestCall(dialer({ windowBytes: 100_000 }), address);
    expect(await call.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('window') });
    await waitFor('the goaway', () => seen.length > 0);
    expect(seen).toEqual([Http2Code.flowControlError]);
  });

  it.each([
    ['a push', frame(FrameType.pushPromise, FrameFlag.endHeaders, 1, Buffer.alloc(4)), Http2Code.protocolError],
    ['a stream it opens itself', frame(FrameType.data, 0, 2, Buffer.alloc(4)), Http2Code.protocolError],
    ['a window update of a stream to come', numberFrame(FrameType.windowUpdate, 9, 1), Http2Code.protocolError],
  ])('hangs up on a server that sends %s', async (_what, wrong, code) => {
    const seen: number[] = [];
    const address = await rawServer(async (peer) => {
      peer.send(settingsFrame([]));
      await peer.next(FrameType.headers);
      peer.send(wrong);
      seen.push((await peer.next(FrameType.goaway)).payload.readUInt32BE(4));
    });
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({ code: 'unavailable' });
    await waitFor('the goaway', () => seen.length > 0);
    expect(seen).toEqual([code]);
  });

  it.each(['127.0.0.1:1', 'no-such-host.invalid:4999', '[::1]:1'])('fails to reach %s', async (address) => {
    expect(await new TestCall(dialer(), address).ended()).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(address),
      cause: expect.anything(),
    });
  });

  it.each(['', 'host', ':80', 'host:', 'host:0', 'host:99999', 'host:port', 'host:1.5'])(
    "fails to reach '%s', which is no address",
    async (address) => {
      const call = new TestCall(dialer(), address);
      expect(call.ends).toEqual([]);
      call.send('something');
      expect(await call.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('host:port') });
    },
  );

  describe('and its connections', () => {
    /** A server that counts who is connected, and says nothing, the beginning of an answer, or all of it. */
    async function counting(
      answer: 'nothing' | 'beginning' | 'all',
    ): Promise<{ address: string; sockets: Set<Socket>; total: () => number }> {
      const sockets = new Set<Socket>();
      let total = 0;
      const server = createTcpServer((socket) => {
        total += 1;
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        const peer = new FrameSocket(socket, { isServer: true });
        if (answer === 'nothing') return;
        peer.send(settingsFrame([]));
        const serve = async () => {
          for (;;) {
            const { streamId } = await peer.next(FrameType.headers);
            const headers = [
              [':status', '200'],
              ['content-type', 'application/grpc'],
            ] as const;
            if (answer === 'all') {
              const flags = FrameFlag.endHeaders | FrameFlag.endStream;
              peer.sendHeaders(streamId, [...headers, ['grpc-status', '0']], flags);
            } else {
              peer.sendHeaders(streamId, headers);
              peer.sendData(streamId, message('first'));
            }
          }
        };
        // It ends in waiting for one more.
        serve().catch(() => undefined);
      });
      return { address: await listen(server), sockets, total: () => total };
    }

    it('are shared by calls one after the other', async () => {
      const { address, total } = await counting('all');
      const shared = dialer();
      for (let i = 0; i < 5; i += 1) expect(await new TestCall(shared, address).ended()).toBeUndefined();
      expect(total()).toBe(1);
    });

    it('are closed beyond the number that may lie idle, those unused for longest first', async () => {
      const servers = await Promise.all([1, 2, 3, 4].map(() => counting('all')));
      const shared = dialer({ maxIdle: 2 });
      for (const { address } of servers) expect(await new TestCall(shared, address).ended()).toBeUndefined();
      await waitFor('two to be closed', () => servers.filter(({ sockets }) => sockets.size > 0).length === 2);
      expect(servers.map(({ sockets }) => sockets.size)).toEqual([0, 0, 1, 1]);
      expect(await new TestCall(shared, servers[0]?.address ?? '').ended()).toBeUndefined();
      expect(servers[0]?.total()).toBe(2);
    });

    it('are given up when a call was closed because nothing came', async () => {
      const { address, sockets, total } = await counting('nothing');
      const shared = dialer();
      const first = new TestCall(shared, address);
      await waitFor('a connection', () => total() === 1);
      first.close();
      const second = new TestCall(shared, address);
      await waitFor('another connection', () => total() === 2);
      await waitFor('the first to be closed', () => sockets.size === 1);
      second.close();
      expect([...first.ends, ...second.ends]).toEqual([]);
    });

    it('are given up when a call was closed because nothing came any more', async () => {
      const { address, sockets, total } = await counting('beginning');
      const shared = dialer();
      const [first, second] = [new TestCall(shared, address), new TestCall(shared, address)];
      await Promise.all([first.received(1), second.received(1)]);
      first.close();
      await new TestCall(shared, address).received(1);
      expect(total()).toBe(1);
      second.close('silent');
      await new TestCall(shared, address).received(1);
      expect(total()).toBe(2);
      expect(sockets.size).toBe(2);
    });

    it('all end at once, with their calls', async () => {
      const { address, sockets } = await counting('nothing');
      const shared = newDialer();
      const calls = [new TestCall(shared, address), new TestCall(shared, address)];
      await waitFor('a connection', () => sockets.size === 1);
      shared.close();
      for (const call of calls) expect(call.ends).toEqual([expect.objectContaining({ code: 'unavailable' })]);
      await waitFor('it to be closed', () => sockets.size === 0);
    });

    it('end also while they are being made', async () => {
      const { address, sockets } = await counting('all');
      const shared = newDialer();
      const call = new TestCall(shared, address);
      call.send('too late');
      shared.close();
      expect(await call.ended()).toMatchObject({ code: 'unavailable', message: expect.stringContaining('closing') });
      await waitFor('nobody to be connected', () => sockets.size === 0);
    });
  });
});
