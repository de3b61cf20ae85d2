import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { FrameSocket } from '../testing/frame-socket.js';
import { waitFor } from '../testing/wait-for.js';
import {
  CLIENT_PREFACE,
  FrameFlag,
  FrameType,
  frame,
  Http2Code,
  numberFrame,
  Setting,
  settingsFrame,
} from './frames.js';
import type { Headers } from './hpack.js';
import { Http2Connection, type Http2Options } from './http2-connection.js';
import type { Http2Stream, StreamEnd } from './http2-stream.js';

const MIB = 1 << 20;
const OPTIONS: Http2Options = {
  windowBytes: MIB,
  maxFrameBytes: MIB,
  extraSettings: [],
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 60_000,
};

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Both ends of a TCP connection on loopback. */
async function sockets(): Promise<readonly [client: Socket, server: Socket]> {
  const listener = createServer();
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [server] = (await once(listener, 'connection')) as [Socket];
  listener.close();
  open.push(() => {
    client.destroy();
    server.destroy();
  });
  return [client, server];
}

/** One side over a socket. */
function connection(
  socket: Socket,
  role: 'client' | 'server',
  options: Partial<Http2Options> & { readonly onStream?: (stream: Http2Stream, headers: Headers) => void } = {},
): { readonly connection: Http2Connection; readonly closes: (Error | undefined)[] } {
  const closes: (Error | undefined)[] = [];
  const { onStream = () => undefined, ...rest } = options;
  const made = new Http2Connection(
    { socket, listener: { onStream, onClose: (error) => closes.push(error) } },
    { ...OPTIONS, ...rest, role },
  );
  socket.on('data', (bytes: Buffer) => made.receive(bytes));
  return { connection: made, closes };
}

/** A server of ours and somebody at the other end who says what the test wants. */
async function facing(options: Parameters<typeof connection>[2] = {}, settings: [number, number][] = []) {
  const [near, far] = await sockets();
  const served = connection(far, 'server', options);
  const client = new FrameSocket(near, { isServer: false });
  client.send(CLIENT_PREFACE, settingsFrame(settings));
  return { ...served, client, socket: far };
}

describe('two streams', () => {
  /** What one of them does: sends so many bytes, or waits until that has gone through. */
  const anySteps = fc.array(
    fc.record({ stream: fc.nat(1), bytes: fc.oneof(fc.nat(10), fc.nat(5_000), fc.nat(200_000)), wait: fc.boolean() }),
    { minLength: 1, maxLength: 12 },
  );
  const anySettings = fc.record({
    windowBytes: fc.constantFrom(20_000, 65_535, 100_000, MIB),
    maxFrameBytes: fc.constantFrom(16_384, 50_000, MIB),
  });

  it('arrive whole and in order, in both directions, however they are mixed', async () => {
    await fc.assert(
      fc.asyncProperty(anySteps, anySettings, anySettings, async (steps, near, far) => {
        const [clientSocket, serverSocket] = await sockets();
        const received = new Map<string, Buffer[]>();
        const take = (name: string) => {
          const parts: Buffer[] = [];
          received.set(name, parts);
          return { onData: (bytes: Buffer) => void parts.push(Buffer.from(bytes)) };
        };
        const echoes: Http2Stream[] = [];
        const server = connection(serverSocket, 'server', {
          ...far,
          onStream: (stream) => {
            stream.sendHeaders([[':status', '200']], false);
            const { onData } = take(`request ${echoes.push(stream) - 1}`);
            stream.listen({
              onData: (bytes) => {
                onData(bytes);
                stream.sendData([Buffer.from(bytes)]);
              },
            });
          },
        });
        const client = connection(clientSocket, 'client', near);
        const streams = [0, 1].map((i) => {
          const stream = client.connection.open([[':path', `/${i}`]]);
          stream.listen(take(`answer ${i}`));
          return stream;
        });
        const sent: Buffer[][] = [[], []];
        let sentCount = 0;
        for (const { stream, bytes, wait } of steps) {
          const content = randomBytes(bytes);
          sent[stream]?.push(content);
          const done = new Promise<void>((resolve) => {
            streams[stream]?.sendData([content.subarray(0, 3), content.subarray(3)], () => {
              sentCount += 1;
              resolve();
            });
          });
          if (wait) await done;
        }
        for (const i of [0, 1]) {
          const whole = Buffer.concat(sent[i] ?? []);
          for (const name of [`request ${i}`, `answer ${i}`]) {
            await waitFor(name, () => Buffer.concat(received.get(name) ?? []).length >= whole.length);
            expect(Buffer.concat(received.get(name) ?? []).equals(whole)).toBe(true);
          }
        }
        await waitFor('all to be told that it was sent', () => sentCount === steps.length);
        expect([...client.closes, ...server.closes]).toEqual([]);
        client.connection.destroy();
        server.connection.destroy();
      }),
      { numRuns: 25 },
    );
  });

  it('take turns when the other side is slow', async () => {
    const counts = new Map([1, 3, 5].map((id) => [id, 0]));
    let othersAtTheEnd: number[] = [];
    const parts = 30;
    const opened: Http2Stream[] = [];
    const part = Buffer.alloc(MIB);
    const { client } = await facing({ onStream: (stream) => void opened.push(stream) }, [
      [Setting.initialWindowSize, 2 ** 31 - 1],
      [Setting.maxFrameSize, 2 ** 24 - 1],
    ]);
    client.send(numberFrame(FrameType.windowUpdate, 0, 2 ** 30));
    for (const id of counts.keys()) client.sendHeaders(id, [[':path', '/']]);
    await waitFor('all to be open', () => opened.length === 3);
    for (const stream of opened) {
      for (let i = 0; i < parts; i += 1) {
        stream.sendData([part], () => {
          counts.set(stream.id, (counts.get(stream.id) ?? 0) + 1);
          if (stream.id === 1 && counts.get(1) === parts) othersAtTheEnd = [counts.get(3) ?? 0, counts.get(5) ?? 0];
        });
      }
    }
    await waitFor('all of it', () => [...counts.values()].every((count) => count === parts));
    // The first had what the kernel takes at once for itself.
    for (const count of othersAtTheEnd) expect(count).toBeGreaterThan(parts / 3);
  });

  it('leave each other alone when one is cancelled: what it had still to send is not sent', async () => {
    const ends: (StreamEnd | undefined)[] = [];
    const done: number[] = [];
    const { client } = await facing(
      {
        onStream: (stream) => {
          stream.listen({ onClose: (early) => ends.push(early) });
          for (let i = 0; i < 5; i += 1) stream.sendData([Buffer.alloc(30_000, stream.id)], () => done.push(stream.id));
        },
      },
      [[Setting.initialWindowSize, 40_000]],
    );
    client.send(numberFrame(FrameType.windowUpdate, 0, 2 ** 30));
    for (const id of [1, 3]) client.sendHeaders(id, [[':path', '/']]);
    await waitFor('both to have begun', () => done.length >= 2);
    client.send(numberFrame(FrameType.rstStream, 1, Http2Code.cancel));
    client.send(numberFrame(FrameType.windowUpdate, 3, 200_000), numberFrame(FrameType.windowUpdate, 1, 200_000));
    await waitFor('all to be done with', () => done.length === 10);
    expect(ends).toEqual([{ resetCode: Http2Code.cancel, cause: undefined }]);
    const bytes = { 1: 0, 3: 0 };
    while (bytes[3] < 150_000) {
      const { streamId, length } = await client.next(FrameType.data);
      bytes[streamId as 1 | 3] += length;
    }
    expect(bytes).toEqual({ 1: 40_000, 3: 150_000 });
  });
});

describe('a stream', () => {
  it('waits for the window of the connection, and then goes on where it was', async () => {
    const { client } = await facing(
      { onStream: (stream) => stream.sendData([Buffer.from('a'.repeat(65_530)), Buffer.from('b'.repeat(20))]) },
      [[Setting.initialWindowSize, 2 ** 31 - 1]],
    );
    client.sendHeaders(1, [[':path', '/']]);
    let text = '';
    while (text.length < 65_535) text += (await client.next(FrameType.data)).payload.toString();
    expect(text.slice(65_520)).toBe('aaaaaaaaaabbbbb');
    client.send(numberFrame(FrameType.windowUpdate, 0, 15));
    while (text.length < 65_550) text += (await client.next(FrameType.data)).payload.toString();
    expect(text.slice(65_520)).toBe('aaaaaaaaaabbbbbbbbbbbbbbbbbbbb');
  });

  it('keeps to a window that became smaller than what was sent', async () => {
    const { client } = await facing(
      { onStream: (stream) => stream.sendData([Buffer.alloc(50_000), Buffer.alloc(10)]) },
      [[Setting.initialWindowSize, 50_000]],
    );
    client.sendHeaders(1, [[':path', '/']]);
    let received = 0;
    while (received < 50_000) received += (await client.next(FrameType.data)).length;
    // The window is now -40,000: what follows makes it 0, and then 5.
    client.send(settingsFrame([[Setting.initialWindowSize, 10_000]]), numberFrame(FrameType.windowUpdate, 1, 40_000));
    client.send(frame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    await client.next(FrameType.ping);
    expect(client.seen).toEqual([]);
    client.send(numberFrame(FrameType.windowUpdate, 1, 5));
    expect((await client.next(FrameType.data)).length).toBe(5);
  });

  it('ends with trailers although no window lets data pass', async () => {
    const { client } = await facing(
      {
        onStream: (stream) => {
          stream.sendHeaders([[':status', '200']], false);
          stream.sendHeaders([['grpc-status', '0']], true);
        },
      },
      [[Setting.initialWindowSize, 0]],
    );
    client.sendHeaders(1, [[':path', '/']], FrameFlag.endHeaders | FrameFlag.endStream);
    await client.next(FrameType.headers);
    expect((await client.next(FrameType.headers)).flags & FrameFlag.endStream).toBe(FrameFlag.endStream);
  });

  it('sends frames of the size that the other side takes', async () => {
    const { client } = await facing({ onStream: (stream) => stream.sendData([Buffer.alloc(60_000)]) }, [
      [Setting.maxFrameSize, 20_000],
    ]);
    client.sendHeaders(1, [[':path', '/']]);
    const lengths = [];
    for (let i = 0; i < 3; i += 1) lengths.push((await client.next(FrameType.data)).length);
    expect(lengths).toEqual([20_000, 20_000, 20_000]);
  });

  it('that nobody reads does not fill the memory', async () => {
    let sentCount = 0;
    const part = Buffer.alloc(MIB);
    const { client, closes } = await facing({
      onStream: (stream) => {
        for (let i = 0; i < 200; i += 1) {
          stream.sendData([part], () => {
            sentCount += 1;
          });
        }
      },
    });
    client.sendHeaders(1, [[':path', '/']]);
    await client.closed();
    await waitFor('all to be done with', () => sentCount === 200);
    expect(closes).toMatchObject([{ message: 'the other side does not read' }]);
  });
});

describe('a connection', () => {
  it('lasts while the other side reads, though it says nothing', async () => {
    const { jest } = import.meta;
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'performance'] });
    open.push(() => void jest.useRealTimers());
    const { client, closes, socket } = await facing(
      {
        keepaliveMs: 30_000,
        keepaliveTimeoutMs: 10_000,
        onStream: (stream) => stream.sendData([Buffer.alloc(32 * MIB)]),
      },
      [
        [Setting.initialWindowSize, 2 ** 31 - 1],
        [Setting.maxFrameSize, 2 ** 24 - 1],
      ],
    );
    client.send(numberFrame(FrameType.windowUpdate, 0, 2 ** 30));
    client.sendHeaders(1, [[':path', '/']]);
    client.socket.pause();
    while (socket.writableLength < MIB) await new Promise(setImmediate);
    // The ping lies behind megabytes that nobody has read.
    jest.advanceTimersByTime(60_000);
    client.socket.resume();
    let received = 0;
    while (received < 32 * MIB) received += (await client.next(FrameType.data)).length;
    while (socket.writableLength > 0) await new Promise(setImmediate);
    await new Promise(setImmediate);
    jest.advanceTimersByTime(10_000);
    expect(closes).toEqual([]);
    // From now on nothing moves: this is silence.
    jest.advanceTimersByTime(70_000);
    expect(closes).toMatchObject([{ message: 'the other side gives no sign of life' }]);
  });

  it('ends when the other side says nothing to a ping', async () => {
    const { client, closes } = await facing({ keepaliveMs: 10, keepaliveTimeoutMs: 10 });
    await client.next(FrameType.ping);
    await client.closed();
    expect(closes).toMatchObject([{ message: 'the other side gives no sign of life' }]);
  });

  it('tells its streams before its owner, and each once', async () => {
    const [near, far] = await sockets();
    const events: string[] = [];
    connection(far, 'server');
    const client = new Http2Connection(
      { socket: near, listener: { onClose: () => events.push('connection') } },
      { ...OPTIONS, role: 'client' },
    );
    for (const name of ['one', 'two']) {
      client.open([]).listen({ onClose: (early) => events.push(`${name} ${early?.cause?.message}`) });
    }
    expect(client.streamCount).toBe(2);
    client.destroy(new Error('enough'));
    client.destroy(new Error('more than enough'));
    expect(events).toEqual(['one enough', 'two enough', 'connection']);
    expect(client.isUsable).toBe(false);
  });

  it('that is ending sends all that it had, though the other side still talks', async () => {
    const opened: Http2Stream[] = [];
    const {
      connection: served,
      client,
      socket,
    } = await facing({ onStream: (stream) => void opened.push(stream) }, [[Setting.initialWindowSize, 2 ** 31 - 1]]);
    client.send(numberFrame(FrameType.windowUpdate, 0, 2 ** 30));
    client.sendHeaders(1, [[':path', '/']], FrameFlag.endHeaders | FrameFlag.endStream);
    await waitFor('the stream', () => opened.length === 1);
    client.socket.pause();
    const part = Buffer.alloc(16_384, 7);
    let sent = 0;
    // Until the kernel takes no more: what comes after it waits in the socket.
    while (socket.writableLength === 0) {
      opened[0]?.sendData([part]);
      sent += part.length;
      await new Promise(setImmediate);
    }
    opened[0]?.sendHeaders([['grpc-status', '0']], true);
    served.leave();
    expect(socket.writableEnded).toBe(true);
    expect(socket.writableLength).toBeGreaterThan(0);
    const heardBefore = socket.bytesRead;
    client.send(frame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    await waitFor('the ping to have come', () => socket.bytesRead > heardBefore);
    client.socket.resume();
    let received = 0;
    while (received < sent) received += (await client.next(FrameType.data)).length;
    expect((await client.next(FrameType.headers)).flags & FrameFlag.endStream).toBe(FrameFlag.endStream);
    await client.closed();
  });

  it('that leaves ends in good order on both sides when its last stream has', async () => {
    const [near, far] = await sockets();
    const opened: Http2Stream[] = [];
    const server = connection(far, 'server', { onStream: (stream) => void opened.push(stream) });
    const client = connection(near, 'client');
    const stream = client.connection.open([[':path', '/']]);
    await waitFor('the stream', () => opened.length === 1);
    client.connection.leave();
    client.connection.leave();
    expect(client.connection.isUsable).toBe(false);
    expect(client.closes).toEqual([]);
    stream.reset();
    await waitFor('both to be closed', () => client.closes.length + server.closes.length === 2);
  });
});
