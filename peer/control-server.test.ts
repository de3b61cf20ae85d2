import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { Deferred } from '../common/deferred.js';
import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { ControlServiceClient } from '../proto/gen/shoal/control/v1/ControlService.js';
import type { GetResponse } from '../proto/gen/shoal/control/v1/GetResponse.js';
import { CallEdge, type Caller, type EventSink } from './control/call.js';
import type { ControlHandlers } from './control/handlers.js';
import { putHandlers } from './control/put.js';
import { ControlServer, checkSocketFree } from './control-server.js';
import { PeerMetrics } from './metrics.js';
import { CONTROL_PROTO, loadProto } from './proto.js';
import type { Publisher, PublishOutcome } from './publish.js';
import { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';
import { newDialer, TestCall } from './testing/wire-calls.js';
import { BufferPool } from './wire/buffer-pool.js';

const buffers = new BufferPool({ keepBytes: 1 << 24 });
const log = createLogger({ name: 'test', level: 'silent' });
/** Listens until it is killed. */
const LISTEN = 'require("node:net").createServer().listen(process.argv[1], () => console.log("listening"))';

/** A client that puts, says so when it is asked for data, and sends none. */
const PUT = `
  const grpc = require('@grpc/grpc-js');
  const proto = require('@grpc/proto-loader').loadSync('shoal/control/v1/control.proto', { includeDirs: ['proto'] });
  const { ControlService } = grpc.loadPackageDefinition(proto).shoal.control.v1;
  const call = new ControlService('unix:' + process.argv[1], grpc.credentials.createInsecure()).put();
  call.on('data', () => console.log('asked'));
  call.write({ start: { name: 'x' } });
`;

type HandleGet = (request: object, caller: Caller, sink: EventSink<GetResponse>) => Promise<void>;

let dir: string;
let path: string;
let metrics: PeerMetrics;
let server: ControlServer;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-'));
  path = join(dir, 'control.sock');
  metrics = new PeerMetrics();
});
afterEach(async () => {
  await server?.close(0);
  metrics.close();
  await rm(dir, { recursive: true, force: true });
});

function serve(make: (edge: CallEdge) => Partial<ControlHandlers>, handleGet?: HandleGet): ControlServer {
  const edge = new CallEdge({ metrics, log }, { isLoginRequired: false });
  const nothing: HandleGet = () => Promise.reject(new ShoalError('not_found', 'there is nothing here'));
  const handlers = { Get: edge.events('Get', handleGet ?? nothing), ...make(edge) };
  server = new ControlServer({ handlers: handlers as ControlHandlers, buffers, log });
  return server;
}
const whoAmI = (edge: CallEdge) => ({
  WhoAmI: edge.unary('WhoAmI', async () => ({ username: 'me', peerAccount: true, expiresAt: '' })),
});
const count = async (method: string, code: string) =>
  (await metrics.controlCalls.get()).values.find(({ labels }) => labels.method === method && labels.code === code)
    ?.value;

describe('the socket', () => {
  test('can be opened by its owner alone, and leaves nothing else in the folder', async () => {
    await serve(whoAmI).listen(path);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(['control.sock']);
    const user = await PeerUser.at(path);
    expect(await user.client.call('WhoAmI', {})).toMatchObject({ username: 'me' });
    user.close();
    await server.close(0);
    expect(await readdir(dir)).toEqual([]);
  });

  test('is made in its folder: the one above may be read-only', async () => {
    const folder = join(dir, 'run');
    await mkdir(folder);
    // Whatever is made in a folder, even for a moment, changes its time.
    await utimes(dir, 1, 1);
    await serve(whoAmI).listen(join(folder, 'control.sock'));
    expect((await lstat(dir)).mtimeMs).toBe(1000);
  });

  test('of a process that died is replaced', async () => {
    const child = spawn(process.execPath, ['-e', LISTEN, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await lstat(path)).isSocket()).toBe(true);
    await serve(whoAmI).listen(path);
    const user = await PeerUser.at(path);
    expect(await user.client.call('WhoAmI', {})).toMatchObject({ username: 'me' });
    user.close();
  });

  test('on which somebody answers is left alone', async () => {
    const other = createServer().listen(path);
    await once(other, 'listening');
    const { ino } = await lstat(path);
    await expect(serve(whoAmI).listen(path)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(path),
    });
    expect((await lstat(path)).ino).toBe(ino);
    other.close();
  });

  test('is not put in the place of something else', async () => {
    await writeFile(path, 'precious');
    await expect(checkSocketFree(path)).rejects.toMatchObject({ code: 'conflict' });
    await rm(path);
    await mkdir(path);
    await expect(checkSocketFree(path)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('of another daemon is not removed with ours', async () => {
    await serve(whoAmI).listen(path);
    const theirs = createServer().listen(join(dir, 'theirs'));
    await once(theirs, 'listening');
    await rename(join(dir, 'theirs'), path);
    await server.close(0);
    expect(await readdir(dir)).toEqual(['control.sock']);
    theirs.close();
  });
});

describe('a call', () => {
  test('that fails says why, and what to do', async () => {
    await serve((edge) => ({
      WhoAmI: edge.unary('WhoAmI', async () => {
        throw new ShoalError('exhausted', 'no more of it', { hint: 'get some' });
      }),
    })).listen(path);
    const user = await PeerUser.at(path);
    await expect(user.client.call('WhoAmI', {})).rejects.toMatchObject({
      code: 'exhausted',
      message: 'no more of it',
      hint: 'get some',
    });
    user.close();
    expect(await count('WhoAmI', 'exhausted')).toBe(1);
  });

  test('that breaks something nobody foresaw is internal, and the next one works', async () => {
    await serve((edge) => ({
      ...whoAmI(edge),
      Logout: edge.unary('Logout', async () => {
        throw new TypeError('undefined is not a function');
      }),
    })).listen(path);
    const user = await PeerUser.at(path);
    await expect(user.client.call('Logout', {})).rejects.toMatchObject({ code: 'internal' });
    expect(await user.client.call('WhoAmI', {})).toMatchObject({ username: 'me' });
    user.close();
    expect(await count('Logout', 'internal')).toBe(1);
    expect(await count('WhoAmI', 'ok')).toBe(1);
  });

  test('that is cancelled stops its work', async () => {
    const seen: string[] = [];
    await serve(whoAmI, async (_request, { signal }, sink) => {
      await sink.send({ data: Buffer.from('x') });
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          seen.push('stopped');
          reject(signal.reason as Error);
        });
      });
    }).listen(path);
    const abort = new AbortController();
    const user = await PeerUser.at(path, { signal: abort.signal });
    await expect(user.get('x', { onEvent: () => abort.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor('the work stops', () => seen.length === 1);
    await waitFor('it is counted', async () => (await count('Get', 'cancelled')) === 1);
    user.close();
  });

  describe('whose requests end', () => {
    const ends: string[] = [];
    beforeEach(async () => {
      ends.length = 0;
      const publish = async (source: { readonly stream?: AsyncIterable<Buffer> }) => {
        try {
          for await (const _bytes of source.stream ?? []);
          ends.push('whole');
        } catch (error) {
          ends.push('broken');
          throw error;
        }
        throw new ShoalError('denied', 'nothing is published here');
      };
      await serve((edge) =>
        putHandlers(edge, { publisher: { publish: publish as Publisher['publish'] }, metrics, buffers }),
      ).listen(path);
    });
    const put = async (then: (call: ReturnType<PeerUser['client']['put']>) => void) => {
      const user = await PeerUser.at(path);
      const call = user.client.put();
      call.requests.write({ start: { name: 'x' } });
      await call.events.next();
      then(call);
      await waitFor('the server notices', () => ends.length === 1);
      user.close();
    };

    test('because all is said has the whole', async () => {
      await put(({ requests }) => requests.end({ end: {} }));
      expect(ends).toEqual(['whole']);
    });

    test.each([1, 2, 3, 4, 5])('because it is cancelled has not (%i)', async () => {
      await put((call) => call.cancel());
      expect(ends).toEqual(['broken']);
    });

    test('because the client was killed has not', async () => {
      const child = spawn(process.execPath, ['-e', PUT, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await waitFor('the server notices', () => ends.length === 1);
      expect(ends).toEqual(['broken']);
    });
  });

  test('of a caller that reads slowly holds the sender back', async () => {
    const EVENTS = 200;
    let sent = 0;
    await serve(whoAmI, async (_request, _caller, sink) => {
      for (; sent < EVENTS; sent++) await sink.send({ data: Buffer.alloc(1 << 20) });
    }).listen(path);
    const [user, other] = [await PeerUser.at(path), await PeerUser.at(path)];
    let received = 0;
    for await (const _event of user.client.get({ ref: 'x' })) {
      received++;
      // As many turns as one that was not held back would need to send everything.
      if (received === 1) for (let i = 0; i < EVENTS; i++) await other.client.call('WhoAmI', {});
      expect(sent - received).toBeLessThan(EVENTS / 2);
    }
    expect(received).toBe(EVENTS);
    user.close();
    other.close();
  });

  describe('of a stock gRPC client', () => {
    const listen = async () => {
      const publish: Publisher['publish'] = async (source) => {
        let size = 0;
        if ('stream' in source) for await (const bytes of source.stream) size += bytes.length;
        const published = { file: { id: 'x', name: 'n', owner: 'o', size, tags: {} } };
        return { published, sha256: 'y', copies: 1 } as unknown as PublishOutcome;
      };
      await serve(
        (edge) => ({
          ...whoAmI(edge),
          ...putHandlers(edge, { publisher: { publish }, metrics, buffers }),
          Logout: edge.unary('Logout', async () => {
            throw new ShoalError('exhausted', 'no more of it', { hint: 'get some' });
          }),
        }),
        async (_request, _caller, sink) => {
          await sink.send({ data: Buffer.from('some') });
          await sink.send({ data: Buffer.from('more') });
          throw new ShoalError('corrupt', 'the rest is gone');
        },
      ).listen(path);
      const proto = loadProto(CONTROL_PROTO)['shoal.control.v1.ControlService'] as ServiceDefinition;
      const Control = makeGenericClientConstructor(proto, 'Control');
      return new Control(`unix:${path}`, credentials.createInsecure()) as unknown as ControlServiceClient;
    };

    test('with one answer is answered', async () => {
      const client = await listen();
      const answer = await new Promise((resolve, reject) => {
        client.WhoAmI({}, (error, response) => (error ? reject(error) : resolve(response)));
      });
      expect(answer).toMatchObject({ username: 'me' });
      const failure = await new Promise<ServiceError | null>((resolve) => client.Logout({}, resolve));
      expect(failure).toMatchObject({ code: 8, details: 'no more of it' });
      client.close();
    });

    test('with many has those that were sent before it failed', async () => {
      const client = await listen();
      const call = client.Get({ ref: 'x' });
      const events: GetResponse[] = [];
      call.on('data', (event: GetResponse) => events.push(event));
      const [failure] = await once(call, 'error');
      expect(failure).toMatchObject({ code: 15, details: 'the rest is gone' });
      expect(events.map(({ data }) => data?.toString())).toEqual(['some', 'more']);
      client.close();
    });

    test('that asks and answers is a conversation', async () => {
      const client = await listen();
      const call = client.Put();
      call.write({ start: { name: 'n' } });
      const [asked] = await once(call, 'data');
      expect(asked).toMatchObject({ event: 'sendData' });
      call.write({ data: Buffer.from('123') });
      call.write({ data: Buffer.from('45') });
      call.write({ end: {} });
      const [done] = await once(call, 'data');
      expect(done.done).toMatchObject({ sha256: 'y', file: { size: 5 } });
      call.end();
      client.close();
    });
  });

  describe('whose pipe is read to its end', () => {
    const content = Buffer.from('some bytes');
    let received: Buffer[] = [];
    beforeEach(async () => {
      received = [];
      execFileSync('mkfifo', [join(dir, 'pipe')]);
      const publish = async (source: { readonly stream?: AsyncIterable<Buffer> }) => {
        for await (const bytes of source.stream ?? []) received.push(bytes);
        throw new ShoalError('denied', 'all of it came');
      };
      await serve((edge) =>
        putHandlers(edge, { publisher: { publish: publish as Publisher['publish'] }, metrics, buffers }),
      ).listen(path);
    });

    /** A call that was asked to confirm the end of its pipe, which has `content` in it. */
    const askedToConfirm = async () => {
      const pipe = join(dir, 'pipe');
      const reader = await open(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
      const writer = await open(pipe, 'w');
      await writer.write(content);
      await writer.close();
      const { dev, ino } = await reader.stat({ bigint: true });
      const user = await PeerUser.at(path);
      const call = user.client.put();
      call.requests.write({ start: { name: 'x', source: { path: pipe, device: `${dev}`, inode: `${ino}` } } });
      await expect(call.events.next()).resolves.toMatchObject({ value: { event: 'confirmEnd' } });
      expect(received.map(String)).toEqual(['some bytes']);
      await reader.close();
      return { user, call };
    };

    test('has the whole when it says so', async () => {
      const { user, call } = await askedToConfirm();
      call.requests.end({ end: {} });
      await expect(call.events.next()).rejects.toMatchObject({ code: 'denied', message: 'all of it came' });
      user.close();
    });

    test('has not when it says nothing', async () => {
      const { user, call } = await askedToConfirm();
      call.requests.end();
      await expect(call.events.next()).rejects.toMatchObject({ code: 'cancelled' });
      user.close();
    });
  });

  test('with a request that is no message is refused', async () => {
    await serve(whoAmI).listen(path);
    const dialer = newDialer();
    const call = new TestCall(dialer, `unix:${path}`, '/shoal.control.v1.ControlService/Get');
    call.send(Buffer.from([0xff, 0xff]));
    expect(await call.ended()).toMatchObject({ code: 'invalid' });
    dialer.close();
  });

  test('that sends faster than is stored is held back', async () => {
    const stored = new Deferred<void>();
    let taken = 0;
    const publish = async (source: { readonly stream?: AsyncIterable<Buffer> }) => {
      for await (const bytes of source.stream ?? []) {
        taken += bytes.length;
        await stored.promise;
      }
      throw new ShoalError('denied', 'nothing is published here');
    };
    await serve((edge) => ({
      ...whoAmI(edge),
      ...putHandlers(edge, { publisher: { publish: publish as Publisher['publish'] }, metrics, buffers }),
    })).listen(path);
    const user = await PeerUser.at(path);
    const call = user.client.put();
    call.requests.write({ start: { name: 'x' } });
    await call.events.next();
    let written = 0;
    // So much as nobody would have taken who did not keep it in memory.
    for (let i = 0; i < 64; i++) {
      call.requests.write({ data: Buffer.alloc(1 << 20) }, () => {
        written += 1;
      });
    }
    await waitFor('the first bytes', () => taken > 0);
    for (let i = 0; i < 100; i++) await user.client.call('WhoAmI', {});
    expect(written).toBeLessThan(16);
    stored.resolve();
    call.requests.end({ end: {} });
    await expect(call.events.next()).rejects.toMatchObject({ code: 'denied' });
    expect(taken).toBe(64 << 20);
    user.close();
  });

  test('that is no gRPC at all does not hurt', async () => {
    await serve(whoAmI).listen(path);
    const socket = connect({ path });
    socket.end('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    const user = await PeerUser.at(path);
    expect(await user.client.call('WhoAmI', {})).toMatchObject({ username: 'me' });
    user.close();
  });
});

test('progress is told ten times a second at the most', async () => {
  await serve((edge) => ({
    Verify: edge.events('Verify', async (_request: object, _caller, sink) => {
      for (let i = 0; i < 10_000; i++) sink.sendProgress({ progress: { doneBytes: i } });
      await sink.send({ done: { id: 'x' } });
    }),
  })).listen(path);
  const user = await PeerUser.at(path);
  let events = 0;
  for await (const _event of user.client.verify({ ref: 'x' })) events++;
  expect(events).toBeLessThan(10);
  expect(events).toBeGreaterThan(1);
  user.close();
});
