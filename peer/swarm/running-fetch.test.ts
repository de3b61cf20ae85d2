import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ShoalError } from '../../common/errors.js';
import { TcpProxy } from '../../index-server/testing/tcp-proxy.js';
import type { StoredFile } from '../stored-file.js';
import { IMPATIENT, type SwarmPeer, startBadPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { waitFor } from '../testing/wait-for.js';
import { readThrough } from './read-through.js';

const KIB = 1024;
const forever = () => new AbortController().signal;
const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function peer(name: string, options: Parameters<typeof startSwarmPeer>[1] = {}): Promise<SwarmPeer> {
  const started = await startSwarmPeer(name, options);
  open.push(() => started.close());
  return started;
}

async function bad(...args: Parameters<typeof startBadPeer>) {
  const started = await startBadPeer(...args);
  open.push(() => started.close());
  return started.holder;
}

async function ingest(to: SwarmPeer, content: Buffer): Promise<StoredFile> {
  const { file } = await to.store.ingest(
    { stream: pieces(content), size: content.length },
    { signal: forever(), onProgress: () => undefined },
  );
  return file;
}

async function* pieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000);
}

async function contentOf(file: StoredFile): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of file.read({ offset: 0, length: file.manifest.size })) parts.push(part);
  return Buffer.concat(parts);
}

function codeOf(error: unknown): string {
  return error instanceof ShoalError ? error.code : String(error);
}

describe('a fetch from good peers', () => {
  it.each([0, 1, 64 * KIB, 64 * KIB + 1, 5_000_000])('gets a file of %i bytes', async (size) => {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(size);
    const { id } = (await ingest(a, content)).manifest;
    const outcome = await b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
    expect(outcome.file.isComplete).toBe(true);
    expect(outcome.receivedBytes).toBe(size);
  });

  it('takes from three at once', async () => {
    const [a, b, c, d] = [await peer('a'), await peer('b'), await peer('c'), await peer('d')];
    const content = randomBytes(20_000_000);
    const { id } = (await ingest(a, content)).manifest;
    await ingest(b, content);
    await ingest(c, content);
    const holders = [a.holder, b.holder, c.holder];
    const outcome = await d.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
    expect(outcome.peers).toBe(3);
    expect(outcome.receivedBytes).toBeLessThan(content.length * 1.05);
  });

  it('uses no memory that it has given back', async () => {
    const [a, b, c] = [await peer('a'), await peer('b'), await peer('c')];
    const content = randomBytes(30_000_000);
    const file = await ingest(a, content);
    const holders = [a.holder, await bad('p', 'piecemeal', file)];
    const fetches = [b, c].map((to) => to.fetcher.start({ id: file.id, ticket: TICKET, holders }));
    for (const fetch of fetches) {
      const outcome = await fetch.finished(forever());
      expect((await contentOf(outcome.file)).equals(content)).toBe(true);
    }
    // Each peer spoils what it gives back; see its pool. Wrong bytes would have been noticed, and blamed on somebody.
    expect([...b.reports, ...c.reports]).toEqual([]);
    for (const { buffers } of [a, b, c]) expect(buffers.spoiltBytes).toBeGreaterThan(content.length / 4);
  });

  it('takes from one that is still fetching itself', async () => {
    const [a, b, c] = [await peer('a'), await peer('b'), await peer('c')];
    const content = randomBytes(20_000_000);
    const { id } = (await ingest(a, content)).manifest;
    const toB = b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] });
    await toB.opened(forever());
    const toC = c.fetcher.start({ id, ticket: TICKET, holders: [b.holder] });
    await Promise.all([toB.finished(forever()), toC.finished(forever())]);
    expect((await contentOf(c.store.get(id) as StoredFile)).equals(content)).toBe(true);
    expect(a.sent.bytes).toBe(content.length);
  });

  it('puts a file together from two peers that have half each', async () => {
    const [a, b, c, d] = [await peer('a'), await peer('b'), await peer('c'), await peer('d')];
    const content = randomBytes(3_000_000);
    const source = await ingest(a, content);
    const { manifest } = source;
    for (const [half, target] of [
      [0, b],
      [1, c],
    ] as const) {
      const file = await target.store.begin(manifest);
      for (let chunk = half; chunk < manifest.chunkCount; chunk += 2)
        await file.writeChunk(chunk, await source.readChunk(chunk));
    }
    const holders = [
      { ...b.holder, complete: false },
      { ...c.holder, complete: false },
    ];
    const outcome = await d.fetcher.start({ id: manifest.id, ticket: TICKET, holders }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
    expect(outcome.peers).toBe(2);
    expect(a.sent.bytes).toBe(0);
  });

  it('goes on from what is here', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(3_000_000);
    const source = await ingest(a, content);
    const begun = await b.store.begin(source.manifest);
    for (let chunk = 0; chunk < 30; chunk += 1) await begun.writeChunk(chunk, await source.readChunk(chunk));
    const { id } = source.manifest;
    const outcome = await b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] }).finished(forever());
    expect(outcome.receivedBytes).toBe(content.length - 30 * 64 * KIB);
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
  });

  it('is shared by all who want the same file, and ends when the last of them gives up', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const slow = await bad('slow', 'slow', await ingest(a, randomBytes(3_000_000)));
    const { id } = (await ingest(a, randomBytes(10))).manifest;
    expect(b.fetcher.get(id)).toBeUndefined();
    const file = a.store.list().find((candidate) => candidate.manifest.size === 3_000_000) as StoredFile;
    const request = { id: file.manifest.id, ticket: TICKET, holders: [slow] };
    const [one, two] = [new AbortController(), new AbortController()];
    const fetch = b.fetcher.start(request);
    expect(b.fetcher.start(request)).toBe(fetch);
    const [first, second] = [fetch.finished(one.signal), fetch.finished(two.signal)];
    one.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    expect(b.fetcher.get(file.manifest.id)).toBe(fetch);
    two.abort();
    await expect(second).rejects.toMatchObject({ code: 'cancelled' });
    expect(b.fetcher.get(file.manifest.id)).toBeUndefined();
  });

  it('can be read in order while it comes, from any place', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(10_000_000);
    const { id } = (await ingest(a, content)).manifest;
    const fetch = b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] });
    const file = await fetch.opened(forever());
    const parts: Buffer[] = [];
    for await (const part of readThrough({ fetch }, file, { offset: 7_000_001, length: 2_500_000 }, forever()))
      parts.push(part);
    expect(Buffer.concat(parts).equals(content.subarray(7_000_001, 9_500_001))).toBe(true);
    await fetch.finished(forever());
  });

  it('gets nothing twice for one who reads from the start while it comes', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    for (let time = 0; time < 4; time += 1) {
      const content = randomBytes(5_000_000);
      const { id } = (await ingest(a, content)).manifest;
      const fetch = b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] });
      const file = await fetch.opened(forever());
      const parts: Buffer[] = [];
      for await (const part of readThrough({ fetch }, file, { offset: 0, length: content.length }, forever())) {
        parts.push(part);
      }
      expect(Buffer.concat(parts).equals(content)).toBe(true);
      expect((await fetch.finished(forever())).receivedBytes).toBe(content.length);
    }
  });

  it('refuses what does not fit before a byte is written', async () => {
    const [a, b] = [await peer('a'), await peer('b', { quotaBytes: 1_000_000 })];
    const { id } = (await ingest(a, randomBytes(2_000_000))).manifest;
    const outcome = b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] }).finished(forever());
    await expect(outcome).rejects.toMatchObject({ code: 'exhausted' });
    expect(b.store.get(id)).toBeUndefined();
  });
});

describe('a fetch among bad peers', () => {
  it.each(['silent', 'mute', 'lying', 'dying', 'slow'] as const)('finishes when one of two is %s', async (nature) => {
    const [a, b] = [await peer('a'), await peer('b', IMPATIENT)];
    const content = randomBytes(6_000_000);
    const source = await ingest(a, content);
    const { id } = source.manifest;
    const holders = [await bad('villain', nature, source), a.holder];
    const outcome = await b.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
    expect(b.reports).toEqual(nature === 'lying' ? [`${id}/villain`] : []);
  });

  it('finishes among all of them at once, and one that cannot be reached', async () => {
    const [a, b] = [await peer('a'), await peer('b', IMPATIENT)];
    const content = randomBytes(12_000_000);
    const source = await ingest(a, content);
    const { id } = source.manifest;
    const natures = ['silent', 'mute', 'lying', 'dying', 'slow'] as const;
    const villains = await Promise.all(natures.map((nature) => bad(nature, nature, source)));
    const holders = [...villains, { peer: 'nowhere', address: await closedAddress(), complete: true }, a.holder];
    const outcome = await b.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
  });

  it('says corrupt when only a liar has it, and keeps nothing wrong', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const source = await ingest(a, randomBytes(1_000_000));
    const { id } = source.manifest;
    const holders = [await bad('liar', 'lying', source)];
    const outcome = b.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
    await expect(outcome).rejects.toMatchObject({ code: 'corrupt' });
    expect(b.store.get(id)?.have.count).toBe(0);
  });

  it('says unavailable when nobody can be reached', async () => {
    const [a, b] = [await peer('a'), await peer('b', { noSourceMs: 300 })];
    const { id } = (await ingest(a, randomBytes(1000))).manifest;
    const holders = [{ peer: 'nowhere', address: await closedAddress(), complete: true }];
    const outcome = b.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
    await expect(outcome).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('finds a holder that came later', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(500_000);
    const { id } = (await ingest(a, content)).manifest;
    let asked = 0;
    b.locate = () => {
      asked += 1;
      return Promise.resolve({ holders: asked < 2 ? [] : [a.holder], ticket: TICKET });
    };
    const outcome = await b.fetcher.start({ id, ticket: TICKET, holders: [] }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
  });

  it('asks the live peers it knows when the index is away', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(500_000);
    const { id } = (await ingest(a, content)).manifest;
    b.locate = () => Promise.reject(new ShoalError('unavailable', 'no index'));
    b.livePeers.push({ name: 'a', address: a.holder.address });
    const outcome = await b.fetcher.start({ id, holders: [] }).finished(forever());
    expect((await contentOf(outcome.file)).equals(content)).toBe(true);
  });

  it('hears of others who get the file from a holder, and meets those that the index knows', async () => {
    const [a, b, c, whole] = [
      await peer('a'),
      await peer('b', { noSourceMs: 20_000 }),
      await peer('c'),
      await peer('w'),
    ];
    const source = await ingest(whole, randomBytes(3_000_000));
    const { manifest } = source;
    const third = Math.floor(manifest.chunkCount / 3);
    // The last third is nowhere, so that nobody finishes and leaves before the others have met.
    for (const [part, holder] of [a, b].entries()) {
      const file = await holder.store.begin(manifest);
      for (let chunk = part * third; chunk < (part + 1) * third; chunk += 1) {
        await file.writeChunk(chunk, await source.readChunk(chunk));
      }
    }
    const request = { id: manifest.id, ticket: TICKET, holders: [a.holder] };
    const giveUp = new AbortController();
    const ends = [b.fetcher.start(request).finished(giveUp.signal)];
    const held = (at: SwarmPeer) => at.store.get(manifest.id)?.have.count ?? 0;
    await waitFor('b to have what a has', () => held(b) === 2 * third);
    c.livePeers.push({ name: 'b', address: b.holder.address });
    ends.push(c.fetcher.start(request).finished(giveUp.signal));
    await waitFor('c to have what b alone has', () => held(c) === 2 * third);
    giveUp.abort();
    await Promise.allSettled(ends);
  });

  it('stops when the index says that the file may not be read', async () => {
    const b = await peer('b');
    b.locate = () => Promise.reject(new ShoalError('not_found', 'no such file'));
    const failure = b.fetcher.start({ id: 'ab'.repeat(32), holders: [] }).finished(forever());
    expect(codeOf(await failure.catch((error: unknown) => error))).toBe('not_found');
  });
});

describe('a fetch that nobody can serve now', () => {
  it('waits for a holder that may come back, and says so', async () => {
    const [a, b] = [await peer('a'), await peer('b', { noSourceMs: 50, awayMs: 3_600_000 })];
    const { id } = (await ingest(a, randomBytes(1000))).manifest;
    b.locate = () => Promise.resolve({ holders: [], ticket: TICKET, away: ['a'] });
    const fetch = b.fetcher.start({ id, ticket: TICKET, holders: [], away: ['a'] });
    const finished = fetch.finished(forever());
    const waiting = await new Promise<string>((resolve) => {
      fetch.onProgress((progress) => {
        if (progress.waiting !== undefined) resolve(progress.waiting);
      });
    });
    expect(waiting).toMatch(/^no live peer has the missing parts; away, and with all of it: a; giving up in \d+ s$/);
    b.locate = () => Promise.resolve({ holders: [a.holder], ticket: TICKET });
    expect((await finished).receivedBytes).toBe(1000);
  });

  it('waits for an index that may know one', async () => {
    const [a, b] = [await peer('a'), await peer('b', { noSourceMs: 50, awayMs: 3_600_000 })];
    const { id } = (await ingest(a, randomBytes(1000))).manifest;
    let asked = 0;
    b.locate = () => {
      asked += 1;
      if (asked < 4) return Promise.reject(new ShoalError('unavailable', 'no index'));
      return Promise.resolve({ holders: [a.holder], ticket: TICKET });
    };
    expect((await b.fetcher.start({ id, holders: [] }).finished(forever())).receivedBytes).toBe(1000);
  });

  it('dials a holder that had been away at once when the index has it back', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const { id } = (await ingest(a, randomBytes(1000))).manifest;
    const away = { ...a.holder, address: await closedAddress() };
    b.locate = () => Promise.resolve({ holders: [away], ticket: TICKET, away: ['a'] });
    const fetch = b.fetcher.start({ id, ticket: TICKET, holders: [away], away: ['a'] });
    const finished = fetch.finished(forever());
    await new Promise<void>((resolve) => {
      fetch.onProgress(({ waiting }) => waiting !== undefined && resolve());
    });
    b.locate = () => Promise.resolve({ holders: [a.holder], ticket: TICKET });
    expect((await finished).receivedBytes).toBe(1000);
  });

  it('goes on over a new connection when the old one is dead and nobody has said so', async () => {
    const [a, b] = [await peer('a'), await peer('b', IMPATIENT)];
    const { id } = (await ingest(a, randomBytes(40_000_000))).manifest;
    const { port } = new URL(`tcp://${a.holder.address}`);
    const proxy = new TcpProxy({ host: '127.0.0.1', port: Number(port) });
    await proxy.mend();
    open.push(() => proxy.cut());
    const holder = { ...a.holder, address: `127.0.0.1:${proxy.port}` };
    const fetch = b.fetcher.start({ id, ticket: TICKET, holders: [holder] });
    let isFrozen = false;
    fetch.onProgress(({ doneBytes, totalBytes }) => {
      if (isFrozen || doneBytes < totalBytes / 4) return;
      isFrozen = true;
      proxy.freeze();
    });
    expect((await fetch.finished(forever())).file.isComplete).toBe(true);
    expect(isFrozen).toBe(true);
  });

  it('gives up soon where nobody has the file', async () => {
    const b = await peer('b', { noSourceMs: 50, awayMs: 3_600_000 });
    const finished = b.fetcher.start({ id: 'ab'.repeat(32), ticket: TICKET, holders: [] }).finished(forever());
    await expect(finished).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('names in the end who was away', async () => {
    const b = await peer('b', { noSourceMs: 50, awayMs: 60 });
    b.locate = () => Promise.resolve({ holders: [], ticket: TICKET, away: ['a'] });
    const finished = b.fetcher.start({ id: 'ab'.repeat(32), ticket: TICKET, holders: [] }).finished(forever());
    await expect(finished).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('of it: a') });
  });
});

async function closedAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}
