import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Client, credentials, Metadata, makeClientConstructor, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { Deferred } from '../../common/deferred.js';
import { fromGrpcError, grpcPackage } from '../grpc.js';
import { loadProto, PEER_PROTO } from '../proto.js';
import type { StoredFile } from '../stored-file.js';
import { type SwarmPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import type { Fetch } from './fetch.js';

/*
 * The doors for other programs, through a stock client: the published proto, the general codec, default limits.
 */

type Stream = NodeJS.ReadWriteStream & AsyncIterable<Record<string, unknown>> & { cancel(): void };
type Stock = Client & Record<string, (...args: unknown[]) => Stream>;

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function peer(options: Parameters<typeof startSwarmPeer>[1] = {}): Promise<{ peer: SwarmPeer; client: Stock }> {
  const started = await startSwarmPeer('a', options);
  open.push(() => started.close());
  const { PeerService } = grpcPackage(loadProto(PEER_PROTO), 'shoal.peer.v1') as unknown as {
    PeerService: new (...args: unknown[]) => Stock;
  };
  const client = new PeerService(started.holder.address, credentials.createInsecure());
  open.push(() => client.close());
  return { peer: started, client };
}

async function ingest(to: SwarmPeer, content: Buffer): Promise<string> {
  async function* stream() {
    yield content;
  }
  const signal = new AbortController().signal;
  const source = { stream: stream(), size: content.length };
  const { file } = await to.store.ingest(source, { signal, onProgress: () => undefined });
  return file.manifest.id;
}

function ticket(value = TICKET): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${value}`);
  return metadata;
}

async function download(client: Stock, request: object, metadata = ticket()) {
  const data: Buffer[] = [];
  let header: Record<string, unknown> | undefined;
  const answers = client['Download']?.(request, metadata) as Stream;
  for await (const message of answers) {
    if (message['header']) header = message['header'] as Record<string, unknown>;
    else data.push(message['data'] as Buffer);
  }
  return { header, data: Buffer.concat(data) };
}

async function failure(work: Promise<unknown>): Promise<ServiceError> {
  return (await work.then(
    () => undefined,
    (error: unknown) => error,
  )) as ServiceError;
}

describe('Download', () => {
  it('sends a file, header first', async () => {
    const { peer: a, client } = await peer();
    const content = randomBytes(3_500_000);
    const fileId = await ingest(a, content);
    const { header, data } = await download(client, { fileId });
    expect(header).toMatchObject({ fileId, size: content.length, offset: 0, length: content.length });
    expect(header?.['sha256']).toBe(createHash('sha256').update(content).digest('hex'));
    expect(data.equals(content)).toBe(true);
  });

  it('reads little ahead of who does not read', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, randomBytes(16 << 20));
    const answers = client['Download']?.({ fileId }, ticket()) as Stream;
    answers.on('error', () => undefined);
    await once(answers, 'readable');
    // As many turns as a sender would need for all of it that nobody holds back.
    const { signal } = new AbortController();
    for (let i = 0; i < 100; i += 1) await a.remote.info(a.holder.address, signal);
    // A client like this one takes 1 MiB ahead by itself.
    expect(a.sent.bytes).toBeLessThan(1.5 * (1 << 20));
    answers.cancel();
  });

  it('sends an empty file', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, Buffer.alloc(0));
    const { header, data } = await download(client, { fileId });
    expect(header).toMatchObject({ size: 0, length: 0 });
    expect(data).toHaveLength(0);
  });

  it.each([
    [0, 1],
    [65_535, 2],
    [199_999, 1],
    [100, 1_000_000],
    [200_000, 0],
  ])('sends from %i on %i bytes, or what there is', async (offset, length) => {
    const { peer: a, client } = await peer();
    const content = randomBytes(200_000);
    const { data } = await download(client, { fileId: await ingest(a, content), offset, length });
    expect(data.equals(content.subarray(offset, length === 0 ? undefined : offset + length))).toBe(true);
  });

  it('refuses what it should, and says why', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, Buffer.from('content'));
    const none = await failure(download(client, { fileId }, new Metadata()));
    expect(none.code).toBe(status.UNAUTHENTICATED);
    expect(fromGrpcError(none)).toMatchObject({ code: 'unauthenticated', hint: expect.stringContaining('locate') });
    const forged = await failure(download(client, { fileId }, ticket('forged')));
    expect(forged.code).toBe(status.UNAUTHENTICATED);
    const unknown = await failure(download(client, { fileId: 'ab'.repeat(32) }));
    expect(unknown.code).toBe(status.NOT_FOUND);
    const nonsense = await failure(download(client, { fileId: '../etc/passwd' }));
    expect(nonsense).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('../etc/passwd'),
    });
    const beyond = await failure(download(client, { fileId, offset: 8 }));
    expect(beyond).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('7 bytes') });
  });

  it('gives a read ticket its own file only, and a private file to no swarm token', async () => {
    const { peer: a, client } = await peer({
      deps: {
        verifyTicket: (token) =>
          Promise.resolve(
            token === TICKET
              ? { sub: 'peer:b', name: 'b', act: 'peer', exp: 9e9 }
              : { sub: 'u1', name: 'ann', act: 'read', file: token, exp: 9e9 },
          ),
        isPublic: () => Promise.resolve(false),
      },
    });
    const fileId = await ingest(a, Buffer.from('secret'));
    expect((await download(client, { fileId }, ticket(fileId))).data.toString()).toBe('secret');
    expect((await failure(download(client, { fileId }, ticket('cd'.repeat(32))))).code).toBe(status.PERMISSION_DENIED);
    expect((await failure(download(client, { fileId }))).code).toBe(status.NOT_FOUND);
  });
});

describe('Upload', () => {
  function uploadTo(client: Stock, messages: readonly object[]): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const call = client['Upload']?.(ticket(), (error: Error | null, answer: Record<string, unknown>) =>
        error === null ? resolve(answer) : reject(error),
      ) as Stream;
      call.on('error', () => undefined);
      for (const message of messages) call.write(message as never);
      call.end();
    });
  }

  const collect = {
    upload: async (header: { name: string }, data: AsyncIterable<Buffer>) => {
      const parts: Buffer[] = [];
      for await (const part of data) parts.push(part);
      return { id: header.name, size: Buffer.concat(parts).length, sha256: 'x' };
    },
  };

  it('takes bytes until the end is said, or the size tells', async () => {
    const { client } = await peer({ deps: collect });
    const data = { data: Buffer.from('abc') };
    expect(await uploadTo(client, [{ header: { name: 'n' } }, data, data, { end: {} }])).toMatchObject({ size: 6 });
    expect(await uploadTo(client, [{ header: { name: 'n', size: 3 } }, data])).toMatchObject({ size: 3 });
  });

  it('publishes nothing of a stream that was cut', async () => {
    const { client } = await peer({ deps: collect });
    const cut = await failure(uploadTo(client, [{ header: { name: 'n' } }, { data: Buffer.from('abc') }]));
    expect(cut).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('all was sent') });
  });

  it('refuses what comes after the end', async () => {
    const { client } = await peer({ deps: collect });
    const data = { data: Buffer.from('abc') };
    const late = await failure(uploadTo(client, [{ header: { name: 'n', size: 3 } }, data, { end: {} }, data]));
    expect(late).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('went on') });
  });

  it('refuses a digest that is none before it takes a byte', async () => {
    let isTaken = false;
    const upload = () => {
      isTaken = true;
      return Promise.resolve({ id: '', size: 0, sha256: '' });
    };
    const { client } = await peer({ deps: { upload } });
    const wrong = await failure(uploadTo(client, [{ header: { name: 'n', sha256: 'zz' } }, { end: {} }]));
    expect(wrong).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining("'zz'") });
    expect(isTaken).toBe(false);
  });

  it('wants the header first and once', async () => {
    const { client } = await peer({ deps: collect });
    expect((await failure(uploadTo(client, [{ data: Buffer.from('abc') }]))).code).toBe(status.INVALID_ARGUMENT);
    expect((await failure(uploadTo(client, []))).code).toBe(status.INVALID_ARGUMENT);
    const header = { header: { name: 'n' } };
    expect((await failure(uploadTo(client, [header, header]))).code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('Exchange', () => {
  async function exchange(client: Stock, requests: readonly object[]): Promise<Record<string, unknown>[]> {
    const call = client['Exchange']?.(ticket()) as Stream;
    for (const request of requests) call.write(request as never);
    const answers: Record<string, unknown>[] = [];
    for await (const answer of call) {
      answers.push(answer);
      if (answer['chunk'] || answer['refused']) call.end();
    }
    return answers;
  }

  it('speaks to a client with the general codec', async () => {
    const { peer: a, client } = await peer();
    const content = randomBytes(70_000);
    const fileId = await ingest(a, content);
    const answers = await exchange(client, [{ open: { fileId, wantManifest: true } }, { want: { chunks: [1] } }]);
    expect(answers[0]).toMatchObject({ opened: { size: 70_000, chunkBytes: 65_536 } });
    expect(answers[1]).toMatchObject({ manifestPart: { data: expect.any(Buffer) } });
    expect(answers[2]).toMatchObject({ chunk: { index: 1, offset: 0, data: content.subarray(65_536) } });
  });

  it('names the others who are getting the file, and takes no more than it can tell of what comes', async () => {
    const { peer: a, client } = await peer();
    const { peer: source } = await peer();
    const { manifest } = source.store.get(await ingest(source, randomBytes(100_000))) as StoredFile;
    await a.store.begin(manifest);
    const calls: Stream[] = [];
    const opened = async (name: string) => {
      const call = client['Exchange']?.(ticket()) as Stream;
      calls.push(call);
      call.write({ open: { fileId: manifest.id, peer: name } } as never);
      const [answer] = (await once(call, 'data')) as [{ opened: { peers: string[] } }];
      return answer.opened.peers;
    };
    expect(await opened('p0')).toEqual([]);
    expect(await opened('p1')).toEqual(['p0']);
    for (let count = 2; count < 48; count += 1) await opened(`p${count}`);
    expect((await failure(opened('late'))).code).toBe(status.RESOURCE_EXHAUSTED);
    for (const call of calls) {
      call.on('error', () => undefined);
      call.cancel();
    }
  });

  it('tells of each chunk that comes, but not of those that the receiver has told it has', async () => {
    const told = { hasTold: (name: string, chunk: number) => name === 'b' && chunk < 2 } as Fetch;
    const { peer: a, client } = await peer({ deps: { activeFetch: () => told } });
    const { peer: source } = await peer();
    const content = randomBytes(4 * 65_536);
    const { manifest } = source.store.get(await ingest(source, content)) as StoredFile;
    const file = await a.store.begin(manifest);
    const call = client['Exchange']?.(ticket()) as Stream;
    call.write({ open: { fileId: manifest.id, peer: 'b' } } as never);
    // One iterator for all: what comes between two ways of reading would be lost.
    const answers = call[Symbol.asyncIterator]();
    await answers.next();
    for (const chunk of [0, 1, 2, 3]) {
      await file.writeChunk(chunk, content.subarray(chunk * 65_536, (chunk + 1) * 65_536));
    }
    const news: number[] = [];
    while (!news.includes(3)) {
      const { value } = await answers.next();
      news.push(...(value['have'] as { chunks: number[] }).chunks);
    }
    expect(news).toEqual([2, 3]);
    await answers.return?.();
  });

  it('refuses chunks that are not there', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, randomBytes(10));
    const answers = await exchange(client, [{ open: { fileId } }, { want: { chunks: [77] } }]);
    expect(answers[1]).toMatchObject({ refused: { chunks: [77], reason: 'REFUSAL_REASON_MISSING' } });
  });

  it('ends with a status when it is not spoken to as agreed', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, randomBytes(10));
    expect((await failure(exchange(client, [{ want: { any: 1 } }]))).code).toBe(status.INVALID_ARGUMENT);
    expect((await failure(exchange(client, [{ open: { fileId: 'no' } }]))).code).toBe(status.INVALID_ARGUMENT);
    const twice = exchange(client, [{ open: { fileId } }, { open: { fileId } }]);
    expect((await failure(twice)).code).toBe(status.INVALID_ARGUMENT);
    const longBitmap = exchange(client, [{ open: { fileId, have: Buffer.alloc(9, 255) } }]);
    expect((await failure(longBitmap)).code).toBe(status.INVALID_ARGUMENT);
    const unknown = exchange(client, [{ open: { fileId: 'ab'.repeat(32) } }]);
    expect((await failure(unknown)).code).toBe(status.NOT_FOUND);
  });
});

describe('the server', () => {
  it('tells who it is and how it feels', async () => {
    const { peer: a } = await peer();
    const signal = new AbortController().signal;
    expect(await a.remote.info(a.holder.address, signal)).toMatchObject({ peer: 'a', draining: false });
    const health = new (makeClientConstructor(healthService, 'Health'))(a.holder.address, credentials.createInsecure());
    open.push(() => health.close());
    const answer = await new Promise((resolve) => {
      health['check']?.({ service: 'shoal.peer.v1.PeerService' }, (_error: unknown, told: unknown) => resolve(told));
    });
    expect(answer).toMatchObject({ status: 'SERVING' });
  });

  it.each(['Exchange', 'Download', 'Upload', 'Replicate', 'GetInfo'])(
    'calls a %s of garbage invalid',
    async (method) => {
      const { client } = await peer();
      const call = client.makeBidiStreamRequest(
        `/shoal.peer.v1.PeerService/${method}`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        ticket(),
      );
      call.end(Buffer.from('ffffffff', 'hex'));
      const ended = await failure(
        (async () => {
          for await (const _answer of call);
        })(),
      );
      expect(ended).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('not a message') });
    },
  );

  it('serves a receiver to the end when it leaves', async () => {
    const { peer: a } = await peer();
    const { store, fetcher, close } = await startSwarmPeer('b', { noSourceMs: 500 });
    open.push(close);
    const content = randomBytes(64_000_000);
    const id = await ingest(a, content);
    const fetch = fetcher.start({ id, ticket: TICKET, holders: [a.holder] });
    const file = await fetch.opened(new AbortController().signal);
    await new Promise<void>((resolve) => {
      file.onVerified(() => resolve());
    });
    const drained = a.server.drain(60_000);
    await fetch.finished(new AbortController().signal);
    expect(store.get(id)?.have.isFull).toBe(true);
    await drained;
  });

  it('says goodbye before its time is over to one who goes on asking', async () => {
    const { peer: a, client } = await peer();
    const content = randomBytes(200_000);
    const fileId = await ingest(a, content);
    const call = client['Exchange']?.(ticket()) as Stream;
    call.write({ open: { fileId } } as never);
    let drained: Promise<void> | undefined;
    const answers: string[] = [];
    for await (const answer of call) {
      answers.push(Object.keys(answer).find((key) => key !== 'message') ?? '');
      drained ??= a.server.drain(2_500);
      call.write({ want: { chunks: [0] } } as never);
    }
    expect(answers[0]).toBe('opened');
    expect(answers.filter((kind) => kind === 'chunk').length).toBeGreaterThan(1);
    expect(answers.at(-1)).toBe('bye');
    call.end();
    await drained;
  });

  it('gives up a copy that is being made when it leaves', async () => {
    const begun = new Deferred<void>();
    const replicate = (_id: string, _ticket: string, signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        begun.resolve();
      });
    const { peer: a } = await peer({ deps: { replicate } });
    const request = { id: 'ab'.repeat(32), ticket: TICKET };
    const asked = failure(a.remote.replicate(a.holder.address, request, new AbortController().signal));
    await begun.promise;
    await a.server.drain(60_000);
    expect(await asked).toMatchObject({ code: 'unavailable', message: 'this peer is leaving' });
  });

  it('is given up when it is not reached in time, but not while it works', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    open.push(() => void silent.close());
    const { peer: a } = await peer({ deps: { replicate: async () => ({ receivedBytes: 7 }) } });
    const request = { id: 'ab'.repeat(32), ticket: TICKET, connectMs: 50 };
    const { port } = silent.address() as AddressInfo;
    const { signal } = new AbortController();
    expect(await failure(a.remote.replicate(`127.0.0.1:${port}`, request, signal))).toMatchObject({
      code: 'timeout',
      message: `127.0.0.1:${port} was not reached within 0.05 s`,
    });
    const { bytesReceived } = await a.remote.replicate(a.holder.address, { ...request, connectMs: 60_000 }, signal);
    expect(bytesReceived).toBe(7);
  });

  it('does not wait for receivers who want nothing', async () => {
    const { peer: a, client } = await peer();
    const fileId = await ingest(a, randomBytes(10));
    const call = client['Exchange']?.(ticket()) as Stream;
    call.write({ open: { fileId } } as never);
    let drained: Promise<void> | undefined;
    let last: Record<string, unknown> = {};
    for await (const answer of call) {
      last = answer;
      drained ??= a.server.drain(60_000);
    }
    expect(last).toMatchObject({ bye: { reason: 'this peer is leaving' } });
    call.end();
    await drained;
  });
});
