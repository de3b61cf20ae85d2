import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { fromGrpcError } from '../grpc.js';
import {
  failureOf,
  ingestInto,
  type StockClient,
  StockPeers,
  type StockStream,
  ticketMetadata,
} from '../testing/stock-client.js';
import { TICKET } from '../testing/swarm-peers.js';

const peers = new StockPeers();
afterEach(() => peers.close());

async function download(client: StockClient, request: object, metadata = ticketMetadata()) {
  const data: Buffer[] = [];
  let header: Record<string, unknown> | undefined;
  const answers = client['Download']?.(request, metadata) as StockStream;
  for await (const message of answers) {
    if (message['header']) header = message['header'] as Record<string, unknown>;
    else data.push(message['data'] as Buffer);
  }
  return { header, data: Buffer.concat(data) };
}

describe('Download', () => {
  it('sends a file, header first', async () => {
    const { peer: a, client } = await peers.start();
    const content = randomBytes(3_500_000);
    const fileId = await ingestInto(a, content);
    const { header, data } = await download(client, { fileId });
    expect(header).toMatchObject({ fileId, size: content.length, offset: 0, length: content.length });
    expect(header?.['sha256']).toBe(createHash('sha256').update(content).digest('hex'));
    expect(data.equals(content)).toBe(true);
  });

  it('reads little ahead of who does not read', async () => {
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, randomBytes(16 << 20));
    const answers = client['Download']?.({ fileId }, ticketMetadata()) as StockStream;
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
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, Buffer.alloc(0));
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
    const { peer: a, client } = await peers.start();
    const content = randomBytes(200_000);
    const { data } = await download(client, { fileId: await ingestInto(a, content), offset, length });
    expect(data.equals(content.subarray(offset, length === 0 ? undefined : offset + length))).toBe(true);
  });

  it('refuses what it should, and says why', async () => {
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, Buffer.from('content'));
    const none = await failureOf(download(client, { fileId }, new Metadata()));
    expect(none.code).toBe(status.UNAUTHENTICATED);
    expect(fromGrpcError(none)).toMatchObject({ code: 'unauthenticated', hint: expect.stringContaining('locate') });
    const forged = await failureOf(download(client, { fileId }, ticketMetadata('forged')));
    expect(forged.code).toBe(status.UNAUTHENTICATED);
    const unknown = await failureOf(download(client, { fileId: 'ab'.repeat(32) }));
    expect(unknown.code).toBe(status.NOT_FOUND);
    const nonsense = await failureOf(download(client, { fileId: '../etc/passwd' }));
    expect(nonsense).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('../etc/passwd'),
    });
    const beyond = await failureOf(download(client, { fileId, offset: 8 }));
    expect(beyond).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('7 bytes') });
  });

  it('gives a read ticket its own file only, and a private file to no swarm token', async () => {
    const { peer: a, client } = await peers.start({
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
    const fileId = await ingestInto(a, Buffer.from('secret'));
    expect((await download(client, { fileId }, ticketMetadata(fileId))).data.toString()).toBe('secret');
    expect((await failureOf(download(client, { fileId }, ticketMetadata('cd'.repeat(32))))).code).toBe(
      status.PERMISSION_DENIED,
    );
    expect((await failureOf(download(client, { fileId }))).code).toBe(status.NOT_FOUND);
  });
});
