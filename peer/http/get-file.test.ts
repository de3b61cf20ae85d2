import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { ShoalError } from '../../common/errors.js';
import type { Holder, Located } from '../../index-server/api/files.js';
import type { Signer } from '../../index-server/signer.js';
import { IndexWait } from '../index-wait.js';
import { PeerMetrics } from '../metrics.js';
import { Retriever } from '../retrieve.js';
import { claimsFor, newSigner } from '../testing/signatures.js';
import { type SwarmPeer, startBadPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { waitFor } from '../testing/wait-for.js';
import { TicketVerifier } from '../tickets.js';
import { createHttpDoor } from './app.js';
import { createDoorServer } from './body-intake.js';
import type { HttpDoorDeps } from './deps.js';
import { type Answer, ask, jsonOf } from './testing/exchange.js';

const NEVER = new AbortController().signal;
const MIB = 1024 * 1024;
const PUBLISHED = '2026-03-01T10:00:00.000Z';

/** The door of a peer that holds nothing, another peer that does, and an index reduced to what `locate` says. */
class Scene {
  readonly source: SwarmPeer;
  readonly near: SwarmPeer;
  readonly #signer: Signer;
  readonly #server: Server;
  readonly #located = new Map<string, Located>();
  readonly #closers: (() => void)[] = [];
  readonly metrics: PeerMetrics;
  failure: ShoalError | undefined;
  locates = 0;
  /** The index answers no earlier. */
  indexAnswers: Promise<void> = Promise.resolve();

  private constructor(source: SwarmPeer, near: SwarmPeer, signer: Signer) {
    this.#signer = signer;
    this.source = source;
    this.near = near;
    this.metrics = new PeerMetrics();
    const index = { locateMany: async (_auth: object, refs: readonly string[]) => this.#locate(refs) };
    const membership = {
      auth: () => ({ bearer: 'peer' }),
      livePeers: [],
      swarmToken: TICKET,
      peerName: 'near',
      address: '',
    };
    const verifier = new TicketVerifier({ clockToleranceSeconds: 0 });
    verifier.setKeys([signer.publicJwk]);
    // What the door reads comes chunk by chunk.
    const smallFetcher = { fetch: () => Promise.reject(new Error('nobody asks for small files')) };
    const wait = new IndexWait({ log: pino({ level: 'silent' }) }, { waitMs: 0 });
    const deps: Pick<HttpDoorDeps, 'retriever' | 'store' | 'log' | 'metrics' | 'membership' | 'readiness' | 'buffers'> =
      {
        retriever: new Retriever({
          index,
          membership,
          verifier,
          store: near.store,
          fetcher: near.fetcher,
          smallFetcher,
          wait,
        }),
        store: near.store,
        buffers: near.buffers,
        log: pino({ level: 'silent' }),
        metrics: this.metrics,
        membership,
        readiness: { phase: 'open', isReady: true, reason: undefined },
      };
    const options = { loopbackAccess: true, requireLogin: false, idleMs: 500 };
    // Nothing in these tests publishes, or comes by the routes of the original's users.
    this.#server = createDoorServer(createHttpDoor(deps as HttpDoorDeps, options)).listen(0, '127.0.0.1');
  }

  static async start(): Promise<Scene> {
    const scene = new Scene(await startSwarmPeer('source'), await startSwarmPeer('near'), await newSigner());
    await once(scene.#server, 'listening');
    return scene;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Puts content into the source's store and the catalogue. */
  async publish(name: string, content: Buffer, holders?: readonly Holder[]): Promise<string> {
    const stream = (async function* () {
      yield content;
    })();
    const { file, sha256 } = await this.source.store.ingest({ stream }, { signal: NEVER, onProgress: () => undefined });
    const { id, size } = file;
    const detail = {
      ...{ id, name, size, sha256, owner: 'shoal', tags: {}, visibility: 'public' as const, publishedAt: PUBLISHED },
      ...{
        chunkSize: file.manifest.chunkBytes,
        chunks: file.manifest.chunkCount,
        replicas: 1,
        version: 1,
        readers: [],
      },
      holders: [...(holders ?? [this.source.holder])],
    };
    const record = await this.#signer.record(claimsFor(id, { size, sha256, name }));
    const located = { file: detail, record, ticket: TICKET, ticketExpiresAt: PUBLISHED };
    for (const ref of [name, id]) this.#located.set(ref, located);
    this.near.locate = () => Promise.resolve({ holders: detail.holders, ticket: TICKET });
    return id;
  }

  /** As {@link publish}, with a peer of a bad nature as the only holder. */
  async publishAt(nature: 'dying' | 'slow' | 'lying', name: string, content: Buffer): Promise<string> {
    const id = await this.publish(name, content);
    const file = this.source.store.get(id);
    if (file === undefined) throw new Error('not stored');
    const bad = await startBadPeer('bad', nature, file);
    this.#closers.push(() => bad.close());
    await this.publish(name, content, [bad.holder]);
    return id;
  }

  /** Resolves when the door has got so many requests from now on. */
  requests(count: number): Promise<void> {
    let left = count;
    return new Promise((resolve) => {
      this.#server.on('request', () => {
        left -= 1;
        if (left === 0) resolve();
      });
    });
  }

  /** Connections that are open to the door. */
  connections(): Promise<number> {
    return promisify(this.#server.getConnections).call(this.#server);
  }

  unpublish(name: string): void {
    this.#located.delete(name);
  }

  async ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    return await ask({ port: this.port, path: `/files/${path}`, headers, method });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    for (const close of this.#closers) close();
    await Promise.all([this.near.close(), this.source.close()]);
    this.metrics.close();
  }

  async #locate(refs: readonly string[]): Promise<readonly (Located | ShoalError)[]> {
    this.locates += 1;
    await this.indexAnswers;
    if (this.failure !== undefined) throw this.failure;
    return refs.map(
      (ref) => this.#located.get(ref) ?? new ShoalError('not_found', `there is no file '${ref}' that you may read`),
    );
  }
}

let scene: Scene;
beforeEach(async () => {
  scene = await Scene.start();
});
afterEach(async () => {
  await scene.close();
});

async function allFetchesEnd(): Promise<void> {
  await waitFor('all fetches end', () => scene.near.fetcher.active.length === 0);
}

describe('GET of a file', () => {
  it.each([0, 1, 65_536, 65_537, 3 * MIB + 17])('brings %d bytes from the swarm, then from here', async (size) => {
    const content = randomBytes(size);
    const id = await scene.publish('a b/ü.bin', content);
    for (const path of ['a%20b/%C3%BC.bin', id]) {
      const answer = await scene.ask(path);
      expect(answer.status).toBe(200);
      expect(answer.body.equals(content)).toBe(true);
      expect(answer.headers).toMatchObject({
        etag: `"${id}"`,
        'content-length': String(size),
        'content-type': 'application/octet-stream',
        'accept-ranges': 'bytes',
        'content-disposition': 'attachment; filename="_.bin"; filename*=UTF-8\'\'%C3%BC.bin',
        'last-modified': 'Sun, 01 Mar 2026 10:00:00 GMT',
        'repr-digest': `sha-256=:${createHash('sha256').update(content).digest('base64')}:`,
        'x-content-type-options': 'nosniff',
        'cache-control': 'private, no-cache',
      });
    }
  });

  it('sends chunks while others have yet to come', async () => {
    const content = randomBytes(1024 * 1024);
    await scene.publishAt('slow', 'slow', content);
    const call = get({ port: scene.port, path: '/files/slow', agent: false });
    const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(content.subarray(0, first.length).equals(first)).toBe(true);
    expect(scene.near.fetcher.active).toHaveLength(1);
    call.destroy();
  });

  it('gives ranges, with what they need', async () => {
    const content = randomBytes(200_000);
    const id = await scene.publish('r', content);
    const middle = await scene.ask('r', { Range: 'bytes=65530-131080' });
    expect(middle.status).toBe(206);
    expect(middle.headers['content-range']).toBe('bytes 65530-131080/200000');
    expect(middle.body.equals(content.subarray(65_530, 131_081))).toBe(true);
    const tail = await scene.ask('r', { Range: 'bytes=-10', 'If-Range': `"${id}"` });
    expect([tail.status, tail.body.equals(content.subarray(-10))]).toEqual([206, true]);
    const several = await scene.ask('r', { Range: 'bytes=0-1,5-6' });
    expect([several.status, several.body.length]).toEqual([200, 200_000]);
    const outdated = await scene.ask('r', { Range: 'bytes=0-1', 'If-Range': '"other"' });
    expect([outdated.status, outdated.body.length]).toEqual([200, 200_000]);
    const beyond = await scene.ask('r', { Range: 'bytes=200000-' });
    expect(beyond.status).toBe(416);
    expect(beyond.headers['content-range']).toBe('bytes */200000');
    expect(jsonOf(beyond)).toMatchObject({ status: 416, code: 'invalid' });
  });

  it('ends the fetch of a range when the range has been sent, and keeps what came', async () => {
    const content = randomBytes(MIB);
    const id = await scene.publishAt('slow', 'big', content);
    const answer = await scene.ask('big', { Range: 'bytes=0-99' });
    expect(answer.body.equals(content.subarray(0, 100))).toBe(true);
    await allFetchesEnd();
    expect(scene.near.store.get(id)?.have.count).toBeGreaterThan(0);
    expect(scene.near.store.get(id)?.isComplete).toBe(false);
  });

  it('fetches nothing for HEAD, 304 and 412', async () => {
    const id = await scene.publish('h', randomBytes(1000));
    const head = await scene.ask('h', { Range: 'bytes=0-1' }, 'HEAD');
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '1000', 0]);
    const fresh = await scene.ask('h', { 'If-None-Match': `"${id}"` });
    expect([fresh.status, fresh.headers.etag, fresh.body.length]).toEqual([304, `"${id}"`, 0]);
    const changed = await scene.ask('h', { 'If-Match': '"other"' });
    expect([changed.status, jsonOf(changed)['code']]).toEqual([412, 'conflict']);
    expect(scene.near.store.get(id)).toBeUndefined();
    expect(scene.near.fetcher.active).toHaveLength(0);
  });

  it('is over when the client goes away; the fetch ends and what came is kept', async () => {
    const id = await scene.publishAt('slow', 'left', randomBytes(MIB));
    const call = get({ port: scene.port, path: '/files/left', agent: false });
    const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream];
    await once(response, 'data');
    call.destroy();
    await allFetchesEnd();
    expect(scene.near.store.get(id)?.have.count).toBeGreaterThan(0);
  });

  it('does not end the fetch that somebody else still wants', async () => {
    await scene.publishAt('slow', 'wanted', randomBytes(4 * 65_536));
    const leaver = get({ port: scene.port, path: '/files/wanted', agent: false });
    const stayer = scene.ask('wanted');
    await once(leaver, 'response');
    leaver.destroy();
    expect((await stayer).body).toHaveLength(4 * 65_536);
  });

  it('breaks the connection when the file cannot be finished', async () => {
    await scene.publishAt('dying', 'half', randomBytes(MIB));
    await expect(scene.ask('half')).rejects.toThrow(/aborted|ECONNRESET/);
    await allFetchesEnd();
  });

  it('says why when not a byte can be had', async () => {
    await scene.publishAt('lying', 'lie', randomBytes(1000));
    const answer = await scene.ask('lie');
    expect([answer.status, jsonOf(answer)['code']]).toEqual([502, 'corrupt']);
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });

  it('gives up a client that takes nothing', async () => {
    await scene.publish('stuck', randomBytes(32 * MIB));
    const call = get({ port: scene.port, path: '/files/stuck', agent: false });
    const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream];
    response.pause();
    await allFetchesEnd();
    const broken = once(response, 'error');
    await waitFor('the door has closed the connection', async () => (await scene.connections()) === 0);
    // Node reads on only when it is told to; the end of the connection shows then.
    response.resume();
    await expect(broken).resolves.toMatchObject([{ code: 'ECONNRESET' }]);
  });

  it('respects at once that a file is gone or no longer shared', async () => {
    const id = await scene.publish('gone', randomBytes(1000));
    expect((await scene.ask('gone')).status).toBe(200);
    scene.unpublish('gone');
    scene.unpublish(id);
    expect((await scene.ask('gone')).status).toBe(404);
    expect((await scene.ask(id)).status).toBe(404);
  });

  it('asks the index a few times, however many want one file', async () => {
    await scene.publish('hot', randomBytes(100));
    await scene.ask('hot');
    scene.locates = 0;
    const crowd = 40;
    scene.indexAnswers = scene.requests(crowd);
    const answers = await Promise.all(Array.from({ length: crowd }, () => scene.ask('hot')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    // Those of the first to come, and that of all others.
    expect(scene.locates).toBeLessThanOrEqual(3);
  });

  it('finds by id what is here or was live when the index is away', async () => {
    const content = randomBytes(1000);
    const id = await scene.publish('known', content);
    await scene.ask('known', {}, 'HEAD');
    scene.failure = new ShoalError('unavailable', 'the index does not answer');
    expect((await scene.ask(id, {}, 'HEAD')).status).toBe(503);
    expect((await scene.ask(id)).body.equals(content)).toBe(true);
    const head = await scene.ask(id, {}, 'HEAD');
    expect([head.status, head.headers['content-length']]).toEqual([200, '1000']);
    expect(await scene.ask(id, { Range: 'bytes=5-9' })).toMatchObject({ status: 206, body: content.subarray(5, 10) });
    const byName = await scene.ask('known');
    expect(byName.status).toBe(503);
    expect(jsonOf(byName)).toMatchObject({ code: 'unavailable' });
  });

  it('refuses references that cannot be one, naming them', async () => {
    for (const path of ['', '../x', 'a//b', 'a%00', '%ff', 'x'.repeat(1025)]) {
      const answer = await scene.ask(path);
      expect([path, answer.status, jsonOf(answer)['code']]).toEqual([path, 400, 'invalid']);
    }
    expect(scene.locates).toBe(0);
  });

  it('takes back the memory of what the system has taken, and no sooner', async () => {
    const content = randomBytes(4 * MIB);
    await scene.publish('lent', content);
    const stream = async function* () {
      yield content;
    };
    await scene.near.store.ingest({ stream: stream() }, { signal: NEVER, onProgress: () => undefined });
    const before = scene.near.buffers.spoiltBytes;
    // What is given back is spoilt, so bytes that were still to be sent would be wrong.
    expect((await scene.ask('lent')).body.equals(content)).toBe(true);
    expect(scene.near.buffers.spoiltBytes - before).toBe(content.length);
  });

  it('counts what it sends', async () => {
    await scene.publish('counted', randomBytes(1000));
    await scene.ask('counted');
    await scene.ask('counted', { Range: 'bytes=0-9' });
    await scene.ask('missing');
    const text = await scene.metrics.registry.metrics();
    expect(text).toContain('shoal_peer_sent_bytes_total{kind="http"} 1010');
    for (const code of [200, 206, 404]) {
      expect(text).toContain(`shoal_peer_http_requests_total{route="/files/{ref}",method="GET",code="${code}"} 1`);
    }
  });
});
