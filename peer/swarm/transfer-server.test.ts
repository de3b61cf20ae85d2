import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { credentials, makeClientConstructor, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { Deferred } from '../../common/deferred.js';
import {
  failureOf,
  ingestInto,
  type StockClient,
  StockPeers,
  type StockStream,
  ticketMetadata,
} from '../testing/stock-client.js';
import { startSwarmPeer, TICKET } from '../testing/swarm-peers.js';

const peers = new StockPeers();
afterEach(() => peers.close());

describe('Upload', () => {
  function uploadTo(client: StockClient, messages: readonly object[]): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      const call = client['Upload']?.(ticketMetadata(), (error: Error | null, answer: Record<string, unknown>) =>
        error === null ? resolve(answer) : reject(error),
      ) as StockStream;
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
    const { client } = await peers.start({ deps: collect });
    const data = { data: Buffer.from('abc') };
    expect(await uploadTo(client, [{ header: { name: 'n' } }, data, data, { end: {} }])).toMatchObject({ size: 6 });
    expect(await uploadTo(client, [{ header: { name: 'n', size: 3 } }, data])).toMatchObject({ size: 3 });
  });

  it('publishes nothing of a stream that was cut', async () => {
    const { client } = await peers.start({ deps: collect });
    const cut = await failureOf(uploadTo(client, [{ header: { name: 'n' } }, { data: Buffer.from('abc') }]));
    expect(cut).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('all was sent') });
  });

  it('refuses what comes after the end', async () => {
    const { client } = await peers.start({ deps: collect });
    const data = { data: Buffer.from('abc') };
    const late = await failureOf(uploadTo(client, [{ header: { name: 'n', size: 3 } }, data, { end: {} }, data]));
    expect(late).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('went on') });
  });

  it('refuses a digest that is none before it takes a byte', async () => {
    let isTaken = false;
    const upload = () => {
      isTaken = true;
      return Promise.resolve({ id: '', size: 0, sha256: '' });
    };
    const { client } = await peers.start({ deps: { upload } });
    const wrong = await failureOf(uploadTo(client, [{ header: { name: 'n', sha256: 'zz' } }, { end: {} }]));
    expect(wrong).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining("'zz'") });
    expect(isTaken).toBe(false);
  });

  it('wants the header first and once', async () => {
    const { client } = await peers.start({ deps: collect });
    expect((await failureOf(uploadTo(client, [{ data: Buffer.from('abc') }]))).code).toBe(status.INVALID_ARGUMENT);
    expect((await failureOf(uploadTo(client, []))).code).toBe(status.INVALID_ARGUMENT);
    const header = { header: { name: 'n' } };
    expect((await failureOf(uploadTo(client, [header, header]))).code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('the server', () => {
  it('tells who it is and how it feels', async () => {
    const { peer: a } = await peers.start();
    const signal = new AbortController().signal;
    expect(await a.remote.info(a.holder.address, signal)).toMatchObject({ peer: 'a', draining: false });
    const health = new (makeClientConstructor(healthService, 'Health'))(a.holder.address, credentials.createInsecure());
    peers.closeLater(() => health.close());
    const answer = await new Promise((resolve) => {
      health['check']?.({ service: 'shoal.peer.v1.PeerService' }, (_error: unknown, told: unknown) => resolve(told));
    });
    expect(answer).toMatchObject({ status: 'SERVING' });
  });

  it.each(['Exchange', 'Download', 'Upload', 'Replicate', 'GetInfo'])(
    'calls a %s of garbage invalid',
    async (method) => {
      const { client } = await peers.start();
      const call = client.makeBidiStreamRequest(
        `/shoal.peer.v1.PeerService/${method}`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        ticketMetadata(),
      );
      call.end(Buffer.from('ffffffff', 'hex'));
      const ended = await failureOf(
        (async () => {
          for await (const _answer of call);
        })(),
      );
      expect(ended).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('not a message') });
    },
  );

  it('serves a receiver to the end when it leaves', async () => {
    const { peer: a } = await peers.start();
    const { store, fetcher, close } = await startSwarmPeer('b', { noSourceMs: 500 });
    peers.closeLater(close);
    const content = randomBytes(64_000_000);
    const id = await ingestInto(a, content);
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
    const { peer: a, client } = await peers.start();
    const content = randomBytes(200_000);
    const fileId = await ingestInto(a, content);
    const call = client['Exchange']?.(ticketMetadata()) as StockStream;
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
    const { peer: a } = await peers.start({ deps: { replicate } });
    const request = { id: 'ab'.repeat(32), ticket: TICKET };
    const asked = failureOf(a.remote.replicate(a.holder.address, request, new AbortController().signal));
    await begun.promise;
    await a.server.drain(60_000);
    expect(await asked).toMatchObject({ code: 'unavailable', message: 'this peer is leaving' });
  });

  it('is given up when it is not reached in time, but not while it works', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    peers.closeLater(() => void silent.close());
    const { peer: a } = await peers.start({ deps: { replicate: async () => ({ receivedBytes: 7 }) } });
    const request = { id: 'ab'.repeat(32), ticket: TICKET, connectMs: 50 };
    const { port } = silent.address() as AddressInfo;
    const { signal } = new AbortController();
    expect(await failureOf(a.remote.replicate(`127.0.0.1:${port}`, request, signal))).toMatchObject({
      code: 'timeout',
      message: `127.0.0.1:${port} was not reached within 0.05 s`,
    });
    const { bytesReceived } = await a.remote.replicate(a.holder.address, { ...request, connectMs: 60_000 }, signal);
    expect(bytesReceived).toBe(7);
  });

  it('does not wait for receivers who want nothing', async () => {
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, randomBytes(10));
    const call = client['Exchange']?.(ticketMetadata()) as StockStream;
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
