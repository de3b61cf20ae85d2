import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import type { StoredFile } from '../stored-file.js';
import {
  failureOf,
  ingestInto,
  type StockClient,
  StockPeers,
  type StockStream,
  ticketMetadata,
} from '../testing/stock-client.js';
import type { Fetch } from './fetch.js';

const peers = new StockPeers();
afterEach(() => peers.close());

describe('Exchange', () => {
  async function exchange(client: StockClient, requests: readonly object[]): Promise<Record<string, unknown>[]> {
    const call = client['Exchange']?.(ticketMetadata()) as StockStream;
    for (const request of requests) call.write(request as never);
    const answers: Record<string, unknown>[] = [];
    for await (const answer of call) {
      answers.push(answer);
      if (answer['chunk'] || answer['refused']) call.end();
    }
    return answers;
  }

  it('speaks to a client with the general codec', async () => {
    const { peer: a, client } = await peers.start();
    const content = randomBytes(70_000);
    const fileId = await ingestInto(a, content);
    const answers = await exchange(client, [{ open: { fileId, wantManifest: true } }, { want: { chunks: [1] } }]);
    expect(answers[0]).toMatchObject({ opened: { size: 70_000, chunkBytes: 65_536 } });
    expect(answers[1]).toMatchObject({ manifestPart: { data: expect.any(Buffer) } });
    expect(answers[2]).toMatchObject({ chunk: { index: 1, offset: 0, data: content.subarray(65_536) } });
  });

  it('names the others who are getting the file, and takes no more than it can tell of what comes', async () => {
    const { peer: a, client } = await peers.start();
    const { peer: source } = await peers.start();
    const { manifest } = source.store.get(await ingestInto(source, randomBytes(100_000))) as StoredFile;
    await a.store.begin(manifest);
    const calls: StockStream[] = [];
    const opened = async (name: string) => {
      const call = client['Exchange']?.(ticketMetadata()) as StockStream;
      calls.push(call);
      call.write({ open: { fileId: manifest.id, peer: name } } as never);
      const [answer] = (await once(call, 'data')) as [{ opened: { peers: string[] } }];
      return answer.opened.peers;
    };
    expect(await opened('p0')).toEqual([]);
    expect(await opened('p1')).toEqual(['p0']);
    for (let count = 2; count < 48; count += 1) await opened(`p${count}`);
    expect((await failureOf(opened('late'))).code).toBe(status.RESOURCE_EXHAUSTED);
    for (const call of calls) {
      call.on('error', () => undefined);
      call.cancel();
    }
  });

  it('keeps no place for who is refused', async () => {
    const { peer: a, client } = await peers.start();
    const { peer: source } = await peers.start();
    const { manifest } = source.store.get(await ingestInto(source, randomBytes(100_000))) as StoredFile;
    await a.store.begin(manifest);
    // One more than there are places for while the file is not complete.
    for (let count = 0; count < 49; count += 1) {
      const refused = exchange(client, [
        { open: { fileId: manifest.id, peer: `p${count}`, have: Buffer.alloc(9, 255) } },
      ]);
      expect((await failureOf(refused)).code).toBe(status.INVALID_ARGUMENT);
    }
    const answers = await exchange(client, [{ open: { fileId: manifest.id, peer: 'b' } }, { want: { chunks: [0] } }]);
    expect(answers[0]).toMatchObject({ opened: { peers: [] } });
  });

  it('tells of each chunk that comes, but not of those that the receiver has told it has', async () => {
    const told = { hasTold: (name: string, chunk: number) => name === 'b' && chunk < 2 } as Fetch;
    const { peer: a, client } = await peers.start({ deps: { activeFetch: () => told } });
    const { peer: source } = await peers.start();
    const content = randomBytes(4 * 65_536);
    const { manifest } = source.store.get(await ingestInto(source, content)) as StoredFile;
    const file = await a.store.begin(manifest);
    const call = client['Exchange']?.(ticketMetadata()) as StockStream;
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
    await answers.return?.();
    expect(news).toEqual([2, 3]);
  });

  it('refuses chunks that are not there', async () => {
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, randomBytes(10));
    const answers = await exchange(client, [{ open: { fileId } }, { want: { chunks: [77] } }]);
    expect(answers[1]).toMatchObject({ refused: { chunks: [77], reason: 'REFUSAL_REASON_MISSING' } });
  });

  it('ends with a status when it is not spoken to as agreed', async () => {
    const { peer: a, client } = await peers.start();
    const fileId = await ingestInto(a, randomBytes(10));
    expect((await failureOf(exchange(client, [{ want: { any: 1 } }]))).code).toBe(status.INVALID_ARGUMENT);
    expect((await failureOf(exchange(client, [{ open: { fileId: 'no' } }]))).code).toBe(status.INVALID_ARGUMENT);
    const twice = exchange(client, [{ open: { fileId } }, { open: { fileId } }]);
    expect((await failureOf(twice)).code).toBe(status.INVALID_ARGUMENT);
    const longBitmap = exchange(client, [{ open: { fileId, have: Buffer.alloc(9, 255) } }]);
    expect((await failureOf(longBitmap)).code).toBe(status.INVALID_ARGUMENT);
    const unknown = exchange(client, [{ open: { fileId: 'ab'.repeat(32) } }]);
    expect((await failureOf(unknown)).code).toBe(status.NOT_FOUND);
  });
});
