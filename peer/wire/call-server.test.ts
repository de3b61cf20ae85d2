import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServiceError,
} from '@grpc/grpc-js';
import { Deferred } from '../../common/deferred.js';
import { ShoalError } from '../../common/errors.js';
import { FrameSocket } from '../testing/frame-socket.js';
import { waitFor } from '../testing/wait-for.js';
import { newDialer, startCallServer, TestCall } from '../testing/wire-calls.js';
import { BULK_SETTING } from './bulk-setting.js';
import type { CallDialerOptions } from './call-dialer.js';
import type { CallServer } from './call-server.js';
import {
  CLIENT_PREFACE,
  FrameFlag,
  FrameType,
  frame,
  frameHeader,
  Http2Code,
  numberFrame,
  readGoaway,
  Setting,
  settingsFrame,
} from './frames.js';
import { messagePrefix } from './grpc-messages.js';
import { decodeHeaders, type Headers, headerValue } from './hpack.js';
import { type IncomingCall, refuseUnknownMethod } from './incoming-call.js';

const MIB = 1 << 20;
const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function start(...args: Parameters<typeof startCallServer>) {
  const started = await startCallServer(...args);
  open.push(async () => {
    const left = started.server.leave();
    started.server.cut();
    await left;
  });
  return started;
}

function dialer(options: Partial<CallDialerOptions> = {}) {
  const made = newDialer(options);
  open.push(() => made.close());
  return made;
}

/** Answers each request with itself. */
async function echo(call: IncomingCall): Promise<void> {
  try {
    for await (const request of call.requests()) {
      if (!call.write(request)) await once(call, 'drain');
    }
    call.end();
  } catch (error) {
    call.end(error);
  }
}

function sizes(buffers: readonly Buffer[]): number[] {
  return buffers.map(({ length }) => length);
}

describe('a call', () => {
  it.each([
    ['as they are', {}],
    ['smaller than a message', { windowBytes: 70_000 }],
    ['much smaller than a message', { windowBytes: 5_000 }],
    ['with small frames', { maxFrameBytes: 16_384 }],
  ])('brings messages there and back, in order, through windows %s', async (_how, options) => {
    const { address } = await start((call) => void echo(call), options);
    const call = new TestCall(dialer(options), address);
    const messages = [0, 1, 5, 1000, 70_000, 0, 500_000, 3].map((size) => randomBytes(size));
    call.send(...messages);
    await call.received(messages.length);
    expect(sizes(call.messages)).toEqual(sizes(messages));
    expect(Buffer.concat(call.messages).equals(Buffer.concat(messages))).toBe(true);
    call.close();
  });

  it('tells its path and ticket, and ends when the server says so', async () => {
    const calls: IncomingCall[] = [];
    const { address } = await start((call) => {
      calls.push(call);
      call.end();
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeUndefined();
    expect(calls).toMatchObject([{ path: '/test.Echo/Echo', authorization: 'Bearer some-ticket' }]);
    expect(call.ends).toHaveLength(1);
  });

  it('carries a failure as it is, first or last', async () => {
    const failure = new ShoalError('conflict', 'наша 100% naïve', { hint: 'größer', details: { candidates: ['a/b'] } });
    const { address } = await start((call) => {
      if (call.path.endsWith('Late')) call.write(Buffer.from('first'));
      call.end(failure);
    });
    const shared = dialer();
    const { code, message, hint, details } = failure;
    for (const path of ['/test/Late', '/test/Early']) {
      const ended = await new TestCall(shared, address, path).ended();
      expect(ended).toMatchObject({ code, message, hint, details });
    }
  });

  it('to a method that is not there is refused by name', async () => {
    const { address } = await start(refuseUnknownMethod);
    expect(await new TestCall(dialer(), address, '/shoal/Nothing').ended()).toMatchObject({
      code: 'invalid',
      message: 'there is no method /shoal/Nothing',
    });
  });

  it('may be one of thousands on its connection, and no more', async () => {
    const { port } = await start(() => undefined);
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    for (let i = 0; i <= 4096; i += 1) client.sendHeaders(2 * i + 1, REQUEST);
    expect(await client.next(FrameType.rstStream)).toMatchObject({ streamId: 2 * 4096 + 1 });
    client.send(numberFrame(FrameType.rstStream, 1, Http2Code.cancel));
    client.sendHeaders(2 * 4097 + 1, REQUEST);
    client.send(PING);
    await client.next(FrameType.ping);
    expect(client.seen).toEqual([]);
    client.socket.destroy();
  });
});

describe('an answer', () => {
  /** Counts how often each `onSent` was called. */
  class Sender {
    readonly counts: number[] = [];

    write(call: IncomingCall, size: number): boolean {
      const at = this.counts.push(0) - 1;
      return call.write(Buffer.alloc(size, at), () => {
        this.counts[at] = (this.counts[at] ?? 0) + 1;
      });
    }

    get isAllSent(): boolean {
      return this.counts.every((count) => count > 0);
    }

    get once(): number[] {
      return this.counts.map(() => 1);
    }
  }

  it('is held up by a caller that does not read, and goes on when he does', async () => {
    const sender = new Sender();
    let drains = 0;
    let isWritten = false;
    const answer = async (call: IncomingCall) => {
      call.on('drain', () => {
        drains += 1;
      });
      for (let i = 0; i < 100; i += 1) if (!sender.write(call, 50_000)) await once(call, 'drain');
      isWritten = true;
      call.end();
    };
    const { port } = await start((call) => void answer(call));
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.sendHeaders(1, REQUEST);
    // All that the first window takes.
    let received = 0;
    while (received < 65_535) received += (await client.next(FrameType.data)).length;
    expect(received).toBe(65_535);
    expect(isWritten).toBe(false);
    expect(sender.counts.length).toBeLessThan(10);
    client.send(numberFrame(FrameType.windowUpdate, 0, 10 * MIB), numberFrame(FrameType.windowUpdate, 1, 10 * MIB));
    while (received < 100 * 50_005) received += (await client.next(FrameType.data)).length;
    expect(headerValue(decodeHeaders((await client.next(FrameType.headers)).payload), 'grpc-status')).toBe('0');
    expect(isWritten).toBe(true);
    expect(drains).toBeGreaterThan(5);
    expect(sender.counts).toEqual(sender.once);
    client.socket.destroy();
  });

  it('of nothing is sent too', async () => {
    const sender = new Sender();
    const { address } = await start((call) => {
      sender.write(call, 0);
      sender.write(call, 0);
      call.end();
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeUndefined();
    expect(sizes(call.messages)).toEqual([0, 0]);
    await waitFor('both to be sent', () => sender.isAllSent);
    expect(sender.counts).toEqual([1, 1]);
  });

  const FAR = 100;
  const LARGE = 100_000;

  it.each([
    ['the caller cancels', (client: FrameSocket) => client.send(numberFrame(FrameType.rstStream, 1, Http2Code.cancel))],
    ['the connection is cut there', (client: FrameSocket) => client.socket.resetAndDestroy()],
    ['the caller hangs up', (client: FrameSocket) => client.socket.end()],
    ['the connection is cut here', (_client: FrameSocket, server: CallServer) => server.cut()],
    ['the caller breaks the rules', (client: FrameSocket) => client.send(numberFrame(FrameType.windowUpdate, 0, 0))],
  ])('is done with, once, when %s', async (_what, end) => {
    const sender = new Sender();
    const events: string[] = [];
    const { server, port } = await start((call) => {
      call.on('cancelled', () => {
        events.push('cancelled');
        // Whoever goes on writing gets his bytes back.
        sender.write(call, LARGE);
      });
      for (let i = 0; i < FAR; i += 1) sender.write(call, LARGE);
    });
    const client = await FrameSocket.hello(port, [BULK_SETTING, [Setting.initialWindowSize, 2 ** 31 - 1]]);
    client.sendHeaders(1, REQUEST);
    await client.next(FrameType.data);
    client.socket.pause();
    end(client, server);
    await waitFor('all to be done with', () => events.length > 0 && sender.isAllSent);
    client.socket.destroy();
    await waitFor('the server to have let go', () => sender.counts.length === FAR + 1);
    expect(events).toEqual(['cancelled']);
    expect(sender.counts).toEqual(sender.once);
  });

  it('goes nowhere when the call has ended', async () => {
    const sender = new Sender();
    const { address } = await start((call) => {
      call.end();
      expect(sender.write(call, LARGE)).toBe(true);
      call.end(new Error('a second end'));
    });
    const call = new TestCall(dialer(), address);
    expect(await call.ended()).toBeUndefined();
    expect(call.messages).toEqual([]);
    expect(sender.counts).toEqual([1]);
  });

  it('of many megabytes is not taken for the silence of somebody who does not read', async () => {
    const answer = randomBytes(MIB);
    const { address } = await start((call) => {
      call.write(answer);
      call.end();
    });
    const shared = dialer({ windowBytes: 2 * MIB });
    // All of it is written before the first byte is read.
    const calls = Array.from({ length: 100 }, () => new TestCall(shared, address));
    for (const call of calls) {
      expect(await call.ended()).toBeUndefined();
      expect(call.messages.map((message) => message.equals(answer))).toEqual([true]);
      call.messages.length = 0;
    }
  });
});

const REQUEST: Headers = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test/Call'],
  [':authority', 'test'],
  ['content-type', 'application/grpc'],
];
const PING = frame(FrameType.ping, 0, 0, Buffer.from('12345678'));

function message(content: string | Buffer): Buffer {
  return Buffer.concat([messagePrefix(content.length), Buffer.from(content)]);
}

describe('requests', () => {
  /** A server that notes what its calls made of their requests. */
  async function taking(hold: Promise<void> = Promise.resolve()) {
    const taken: string[] = [];
    const failures: unknown[] = [];
    let ended = 0;
    const take = async (call: IncomingCall) => {
      await hold;
      try {
        for await (const request of call.requests()) taken.push(request.subarray(0, 20).toString());
        ended += 1;
        call.end();
      } catch (error) {
        failures.push(error);
        call.end(error);
      }
    };
    const { port } = await start((call) => void take(call));
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    open.push(() => void client.socket.destroy());
    client.sendHeaders(1, REQUEST);
    const status = async () => {
      for (;;) {
        const found = headerValue(decodeHeaders((await client.next(FrameType.headers)).payload), 'grpc-status');
        if (found !== undefined) return Number(found);
      }
    };
    return { client, taken, failures, ended: () => ended, status };
  }

  it('are taken in order to their end, however they are framed', async () => {
    const { client, taken, status } = await taking();
    const bytes = Buffer.concat([message('one'), message(''), message('two')]);
    for (const byte of bytes) client.sendData(1, Buffer.from([byte]));
    client.send(
      frame(FrameType.data, FrameFlag.padded, 1, Buffer.concat([Buffer.from([3]), message('padded'), Buffer.alloc(3)])),
    );
    client.sendData(1, message('last'), FrameFlag.endStream);
    expect(await status()).toBe(0);
    expect(taken).toEqual(['one', '', 'two', 'padded', 'last']);
  });

  it('end with trailers, or before they began', async () => {
    const { client, ended, status } = await taking();
    client.sendHeaders(1, [['x', 'y']], FrameFlag.endHeaders | FrameFlag.endStream);
    expect(await status()).toBe(0);
    client.sendHeaders(3, REQUEST, FrameFlag.endHeaders | FrameFlag.endStream);
    expect(await status()).toBe(0);
    expect(ended()).toBe(2);
  });

  it.each([
    ['cut off', message('half').subarray(0, 7), { code: 'invalid', message: expect.stringContaining('cut off') }],
    ['compressed', Buffer.from([1, 0, 0, 0, 0]), { code: 'invalid' }],
    ['too large', messagePrefix(4 * MIB + 1), { code: 'too_large' }],
  ])('are refused that are %s, after those before them', async (_what, wrong, failure) => {
    const { client, taken, failures, status } = await taking();
    client.sendData(1, Buffer.concat([message('good'), wrong]), FrameFlag.endStream);
    expect(await status()).toBe(3);
    expect(taken).toEqual(['good']);
    expect(failures).toMatchObject([failure]);
  });

  /** As {@link taking}, but nothing is taken before `go`. */
  async function takingLater() {
    const held = new Deferred<void>();
    return { ...(await taking(held.promise)), go: () => held.resolve() };
  }

  it('are refused when too many wait', async () => {
    const { client, taken, failures, status, go } = await takingLater();
    const bytes = Buffer.concat(Array(5000).fill(message('x')));
    for (let at = 0; at < bytes.length; at += 16_384) client.sendData(1, bytes.subarray(at, at + 16_384));
    client.send(PING);
    await client.next(FrameType.ping);
    go();
    expect(await status()).toBe(8);
    expect(failures).toMatchObject([{ code: 'throttled' }]);
    expect(taken.length).toBeLessThan(5000);
  });

  it('of many bytes wait at the caller until some were taken', async () => {
    const { client, taken, go } = await takingLater();
    const widenings = () =>
      client.seen.filter(({ type, streamId }) => type === FrameType.windowUpdate && streamId === 1);
    const sendOne = async () => {
      const bytes = message(Buffer.alloc(0.6 * MIB));
      client.seen.length = 0;
      for (let at = 0; at < bytes.length; at += 16_384) client.sendData(1, bytes.subarray(at, at + 16_384));
      client.send(PING);
      await waitFor('the answer to the ping', () => client.seen.some(({ type }) => type === FrameType.ping));
    };
    for (const expected of [1, 1, 0]) {
      await sendOne();
      expect(widenings()).toHaveLength(expected);
    }
    go();
    await waitFor('room for more', () => widenings().length === 1);
    expect(taken.length).toBeGreaterThan(0);
    await sendOne();
    await waitFor('the last one', () => taken.length === 4);
  });

  it('of many bytes that do not wait cost the connection', async () => {
    const { client } = await takingLater();
    const bytes = Buffer.concat(Array(3).fill(message(Buffer.alloc(MIB))));
    for (let at = 0; at < bytes.length; at += 16_384) client.sendData(1, bytes.subarray(at, at + 16_384));
    const { code } = readGoaway((await client.next(FrameType.goaway)).payload);
    expect(code).toBe(Http2Code.flowControlError);
  });

  it('are not listened to when the call has ended', async () => {
    const { port } = await start((call) => call.end(new ShoalError('denied', 'no')));
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.sendHeaders(1, REQUEST);
    await client.next(FrameType.headers);
    // RFC 9113 section 8.1: it was all said, so it asks for no more.
    expect((await client.next(FrameType.rstStream)).payload.readUInt32BE(0)).toBe(Http2Code.noError);
    client.sendData(1, message('late'));
    client.sendData(1, Buffer.from([1, 2, 3]), FrameFlag.endStream);
    client.send(PING);
    await client.next(FrameType.ping);
    client.socket.destroy();
  });
});

describe('somebody who is no peer of ours', () => {
  const bytes = (value: Buffer) => value;

  /** A server with a door for strangers, served by grpc-js. */
  async function withGrpc(helloMs = 60_000) {
    const grpc = new GrpcServer();
    const method = { path: '/test/Ping', requestStream: false, responseStream: false };
    const codec = {
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    };
    grpc.addService(
      { Ping: { ...method, ...codec } },
      { Ping: (call: { request: Buffer }, callback: (e: null, b: Buffer) => void) => callback(null, call.request) },
    );
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const started = await start((call) => void echo(call), {
      otherwise: (socket) => injector.injectConnection(socket),
      helloMs,
    });
    open.push(() => grpc.forceShutdown());
    return { ...started, grpc };
  }

  async function ping(address: string, text: string): Promise<string> {
    const client = new Client(address, credentials.createInsecure());
    open.push(() => client.close());
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        '/test/Ping',
        bytes,
        bytes,
        Buffer.from(text),
        new Metadata(),
        (error: ServiceError | null, answer) => (error === null ? resolve(String(answer)) : reject(error)),
      );
    });
  }

  it('is served by grpc-js, on the same port and at the same time', async () => {
    const { address } = await withGrpc();
    const ours = new TestCall(dialer(), address);
    ours.send('ours');
    expect(await ping(address, 'stock')).toBe('stock');
    expect((await ours.received(1)).toString()).toBe('ours');
    expect(await ping(address, 'x'.repeat(100_000))).toHaveLength(100_000);
    ours.close();
  });

  it('is recognised however slowly his first bytes come', async () => {
    const seen: Buffer[] = [];
    const { port } = await start(() => undefined, {
      otherwise: (socket) => {
        socket.on('data', (data) => seen.push(data));
        socket.on('error', () => undefined);
        socket.resume();
      },
    });
    const hello = Buffer.concat([CLIENT_PREFACE, settingsFrame([[4, 70_000]]), PING]);
    const socket = await tcp(port);
    socket.setNoDelay(true);
    for (const byte of hello) await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()));
    await waitFor('all of it', () => Buffer.concat(seen).length === hello.length);
    expect(Buffer.concat(seen)).toEqual(hello);
    socket.destroy();
  });

  it.each([
    ['speaks HTTP/1', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['sends the hello of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['sends garbage', 'hello, is anybody there?\n'],
    ['begins like HTTP/2 and goes on with garbage', `${CLIENT_PREFACE.toString('latin1')}garbage without end`],
  ])('%s, and is let go without harm to others', async (_what, text) => {
    const { port, address } = await withGrpc();
    const socket = await tcp(port);
    socket.write(text, 'latin1');
    socket.resume();
    await closing(socket);
    expect(await ping(address, 'well')).toBe('well');
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a preface', CLIENT_PREFACE.subarray(0, 10)],
    ['a preface and half a frame', Buffer.concat([CLIENT_PREFACE, settingsFrame([BULK_SETTING]).subarray(0, 12)])],
  ])('and says %s is not waited for longer than it takes', async (_what, hello) => {
    const { port } = await start(() => undefined, { helloMs: 50 });
    const socket = await tcp(port);
    socket.write(hello);
    socket.resume();
    await closing(socket);
  });

  it('and hangs up before he has said anything is forgotten', async () => {
    const { server, port } = await start(() => undefined);
    const socket = await tcp(port);
    socket.write('P');
    socket.resetAndDestroy();
    await server.leave();
  });
});

/** Resolves when the socket is closed, in whichever way. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

async function tcp(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

describe('leaving', () => {
  it('says clearly that a port is taken', async () => {
    const { port } = await start(() => undefined);
    const second = startCallServer(() => undefined);
    const other = (await second).server;
    await other.leave();
    await expect(other.listen('127.0.0.1', port)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
  });

  it('is over at once when nobody is there', async () => {
    const { server, port } = await start(() => undefined);
    await server.leave();
    await server.leave();
    const socket = connect(port, '127.0.0.1');
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('closes idle connections, and sends strangers away', async () => {
    const { server, port, address } = await start((call) => call.end());
    expect(await new TestCall(dialer(), address).ended()).toBeUndefined();
    const stranger = await tcp(port);
    stranger.resume();
    stranger.write('PRI');
    await Promise.all([server.leave(), closing(stranger)]);
  });

  it('lets calls under way finish, and refuses new ones without harm to them', async () => {
    const calls: IncomingCall[] = [];
    const { server, port } = await start((call) => {
      calls.push(call);
      void echo(call);
    });
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.sendHeaders(1, REQUEST);
    client.sendData(1, message('before'));
    await client.next(FrameType.data);
    let hasLeft = false;
    const left = server.leave().then(() => {
      hasLeft = true;
    });
    expect(readGoaway((await client.next(FrameType.goaway)).payload)).toEqual({ lastStreamId: 1, code: 0 });
    // Sent in one go, by somebody who has not read the goaway yet.
    client.sendHeaders(3, REQUEST);
    client.sendData(3, message('too late'));
    const refused = await client.next(FrameType.rstStream);
    expect([refused.streamId, refused.payload.readUInt32BE(0)]).toEqual([3, Http2Code.refusedStream]);
    client.sendData(1, message('after'), FrameFlag.endStream);
    const answer = [await client.next(FrameType.data), await client.next(FrameType.data)];
    expect(Buffer.concat(answer.map(({ payload }) => payload)).toString('latin1')).toBe('\0\0\0\0\x05after');
    expect(hasLeft).toBe(false);
    expect(calls).toHaveLength(1);
    await client.closed();
    await left;
  });

  it('is told to callers as unavailable', async () => {
    const { server, address } = await start((call) => void echo(call));
    const shared = dialer();
    const under = new TestCall(shared, address);
    under.send('hello');
    await under.received(1);
    const left = server.leave();
    expect(await new TestCall(shared, address).ended()).toMatchObject({ code: 'unavailable' });
    under.send('still');
    expect((await under.received(2)).at(-1)?.toString()).toBe('still');
    under.close();
    await left;
  });

  it('sends all that was written, to somebody slow, though he talks meanwhile', async () => {
    const total = 8 * MIB;
    const { server, port } = await start((call) => {
      call.write(Buffer.alloc(total, 1));
      call.end();
    });
    const client = await FrameSocket.hello(port, [BULK_SETTING, [Setting.initialWindowSize, 2 ** 31 - 1]]);
    client.send(numberFrame(FrameType.windowUpdate, 0, 2 ** 30));
    client.sendHeaders(1, REQUEST);
    await client.next(FrameType.data);
    client.socket.pause();
    const left = server.leave();
    for (let i = 0; i < 10; i += 1) client.send(PING);
    client.socket.resume();
    let received = 5;
    while (received < total + 5) received += (await client.next(FrameType.data)).length;
    expect(headerValue(decodeHeaders((await client.next(FrameType.headers)).payload), 'grpc-status')).toBe('0');
    await client.closed();
    await left;
  });

  it('is over when what is left is cut', async () => {
    const { server, port, address } = await start((call) => void echo(call));
    const call = new TestCall(dialer(), address);
    call.send('hello');
    await call.received(1);
    const stranger = await tcp(port);
    stranger.resume();
    const left = server.leave();
    server.cut();
    await Promise.all([left, closing(stranger)]);
    expect(await call.ended()).toMatchObject({ code: 'unavailable' });
  });
});

describe('a peer that breaks the rules', () => {
  const DATA = frame(FrameType.data, 0, 1, Buffer.from('x'));
  const { protocolError, frameSizeError, flowControlError, streamClosed, compressionError, enhanceYourCalm } =
    Http2Code;

  function block(streamId: number, bytes: Buffer, flags: number = FrameFlag.endHeaders): Buffer {
    return frame(FrameType.headers, flags, streamId, bytes);
  }

  const OPENED = block(1, Buffer.from([0x83]));
  const ENDED = block(1, Buffer.from([0x83]), FrameFlag.endHeaders | FrameFlag.endStream);
  const EMPTY = Buffer.alloc(0);

  it.each([
    ['data of a stream that never was', [DATA], protocolError],
    ['data of the connection', [frame(FrameType.data, 0, 0, EMPTY)], protocolError],
    ['data after the end', [ENDED, DATA], streamClosed],
    ['data that is empty after the end', [ENDED, frame(FrameType.data, 0, 1, EMPTY)], streamClosed],
    ['data within headers', [OPENED, block(3, EMPTY, 0), DATA], protocolError],
    ['headers after the end', [ENDED, OPENED], streamClosed],
    ['headers in the middle of a request', [OPENED, OPENED], protocolError],
    ['headers of the connection', [block(0, EMPTY)], protocolError],
    ['a stream of an even number', [block(2, EMPTY)], protocolError],
    ['headers within headers', [block(1, EMPTY, 0), block(3, EMPTY)], protocolError],
    ['a ping within headers', [block(1, EMPTY, 0), PING], protocolError],
    ['a continuation of nothing', [frame(FrameType.continuation, 4, 1, EMPTY)], protocolError],
    ['headers that are none', [block(1, Buffer.from([0xff]))], compressionError],
    ['headers of a table it was not given', [block(1, Buffer.from([0xbe]))], compressionError],
    [
      'headers of nothing without end',
      [block(1, EMPTY, 0), ...Array(100).fill(frame(9, 0, 1, EMPTY))],
      enhanceYourCalm,
    ],
    [
      'a frame larger than it may be',
      [OPENED, frameHeader({ length: MIB + 1, type: 0, flags: 0, streamId: 1 })],
      frameSizeError,
    ],
    [
      'more padding than data',
      [OPENED, frame(FrameType.data, FrameFlag.padded, 1, Buffer.from([9, 9]))],
      protocolError,
    ],
    ['settings on a stream', [frame(FrameType.settings, 0, 1, EMPTY)], protocolError],
    ['settings of half a size', [frame(FrameType.settings, 0, 0, Buffer.alloc(5))], frameSizeError],
    ['an answer to settings with some', [frame(FrameType.settings, 1, 0, Buffer.alloc(6))], frameSizeError],
    ['frames of no size at all', [settingsFrame([[Setting.maxFrameSize, 0]]), OPENED], protocolError],
    ['a first window that is too wide', [settingsFrame([[Setting.initialWindowSize, 2 ** 31]])], flowControlError],
    ['a ping of a wrong size', [frame(FrameType.ping, 0, 0, Buffer.alloc(7))], frameSizeError],
    ['a ping on a stream', [OPENED, frame(FrameType.ping, 0, 1, Buffer.alloc(8))], protocolError],
    ['a goaway on a stream', [OPENED, frame(FrameType.goaway, 0, 1, Buffer.alloc(8))], protocolError],
    ['half a goaway', [frame(FrameType.goaway, 0, 0, Buffer.alloc(7))], frameSizeError],
    ['a reset of a stream that never was', [numberFrame(FrameType.rstStream, 1, 8)], protocolError],
    ['a reset of the connection', [numberFrame(FrameType.rstStream, 0, 8)], protocolError],
    ['half a reset', [OPENED, frame(FrameType.rstStream, 0, 1, Buffer.alloc(3))], frameSizeError],
    ['a window update of nothing', [numberFrame(FrameType.windowUpdate, 0, 0)], protocolError],
    ['a window update of a stream that never was', [numberFrame(FrameType.windowUpdate, 5, 1)], protocolError],
    ['half a window update', [frame(FrameType.windowUpdate, 0, 0, Buffer.alloc(3))], frameSizeError],
    ['a window too wide', [numberFrame(FrameType.windowUpdate, 0, 2 ** 31 - 1)], flowControlError],
    ['a window of a stream too wide', [OPENED, numberFrame(FrameType.windowUpdate, 1, 2 ** 31 - 1)], flowControlError],
    [
      'first windows that add up to too much',
      [OPENED, numberFrame(FrameType.windowUpdate, 1, 2 ** 30), settingsFrame([[4, 2 ** 31 - 1]])],
      flowControlError,
    ],
    ['a push', [frame(FrameType.pushPromise, 4, 1, Buffer.alloc(4))], protocolError],
  ])('by %s is told so, and others are served', async (_what, wrong: Buffer[], code) => {
    const { port, address } = await start((call) => void echo(call));
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.send(...wrong);
    expect(readGoaway((await client.next(FrameType.goaway)).payload).code).toBe(code);
    await client.closed();
    const call = new TestCall(dialer(), address);
    call.send('well');
    expect((await call.received(1)).toString()).toBe('well');
    call.close();
  });

  it('by more data than its window is told so', async () => {
    const { port } = await start(() => undefined, { windowBytes: 100_000, maxFrameBytes: MIB });
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.send(OPENED);
    // What goes beyond the window comes in one frame: nothing can have been acknowledged in between.
    client.sendData(1, Buffer.alloc(100_001));
    expect(readGoaway((await client.next(FrameType.goaway)).payload).code).toBe(flowControlError);
    await client.closed();
  });

  it('by a first frame that is none of settings is told so', async () => {
    const { port, address } = await start((call) => void echo(call));
    const socket = await tcp(port);
    socket.resume();
    socket.write(Buffer.concat([CLIENT_PREFACE, PING]));
    await closing(socket);
    const call = new TestCall(dialer(), address);
    call.send('well');
    await call.received(1);
    call.close();
  });

  it.each([
    ['pings', PING],
    ['settings', settingsFrame([])],
  ])('by a flood of %s whose answers he does not read is cut off', async (_what, question) => {
    const { server, port } = await start(() => undefined);
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    client.socket.pause();
    const flood = Buffer.concat(Array(4096).fill(question));
    let sent = 0;
    let failure: unknown;
    // The kernel's buffers of both ends fill up first.
    while (!failure && sent < 256 * MIB) {
      sent += flood.length;
      failure = await new Promise((resolve) => client.socket.write(flood, resolve));
    }
    expect(failure).toMatchObject({ syscall: 'write' });
    await server.leave();
  });

  it('by asking and asking is answered while he reads', async () => {
    const { port } = await start(() => undefined);
    const client = await FrameSocket.hello(port, [BULK_SETTING]);
    const count = 30_000;
    const questions = Buffer.concat(Array(1000).fill(PING));
    for (let i = 0; i < count / 1000; i += 1) {
      await new Promise<void>((resolve) => client.socket.write(questions, () => resolve()));
    }
    await waitFor('all answers', () => client.seen.filter(({ type }) => type === FrameType.ping).length === count);
    client.socket.destroy();
  });
});

it('passes over frames that nobody knows, and over priorities', async () => {
  const { port } = await start((call) => void echo(call));
  const client = await FrameSocket.hello(port, [BULK_SETTING, [0x9999, 7]]);
  client.send(
    frame(0xfe, 0xff, 5, Buffer.from('whatever')),
    frame(FrameType.priority, 0, 1, Buffer.alloc(5)),
    frame(FrameType.settings, FrameFlag.ack, 0, Buffer.alloc(0)),
    PING,
  );
  expect(await client.next(FrameType.ping)).toMatchObject({ flags: FrameFlag.ack, payload: Buffer.from('12345678') });
  client.socket.destroy();
});
