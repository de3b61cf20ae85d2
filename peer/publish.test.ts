import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { Located, PublishBody, Published } from '../index-server/api/files.js';
import type { Signer } from '../index-server/signer.js';
import { ChunkStore } from './chunk-store.js';
import { Hasher } from './hasher.js';
import { IndexWait } from './index-wait.js';
import { Publisher, type PublishOptions, type PublishProgress } from './publish.js';
import { Removals } from './removals.js';
import { claimsFor, newSigner } from './testing/signatures.js';
import { waitFor } from './testing/wait-for.js';
import { WorkGate } from './work-gate.js';

const log = createLogger({ name: 'test', level: 'silent' });
const bytes = Buffer.from('some bytes');
const away = new ShoalError('unavailable', 'the index does not answer');

let dir: string;
let hasher: Hasher;
let store: ChunkStore;
let signer: Signer;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-'));
  hasher = new Hasher({ threads: 1 });
  store = new ChunkStore({ log, hasher }, { dir, quotaBytes: 5_000_000, reserveBytes: 0 });
  await store.open();
  signer = await newSigner();
});
afterEach(async () => {
  await store.close();
  await hasher.close();
  await rm(dir, { recursive: true });
});

/** A publisher, an index that can be scripted, and peers of which some take no copies, or are reached late. */
function setUp({ peers = [] as string[], unwilling = [] as string[], unreached = [] as string[] } = {}) {
  const published: PublishBody[] = [];
  /** How many files each call about several had. */
  const calls: number[] = [];
  const copied: { address: string; ticket: string }[] = [];
  const changed: string[] = [];
  const script: { publish?: ShoalError; account?: ShoalError; locate?: ShoalError; isPublishedAnyway?: boolean } = {};
  const detail = async (body: PublishBody) => {
    const { replicas = 1, visibility = 'public' } = body;
    const record = await signer.record(claimsFor(body.id, { name: body.name, sha256: body.sha256 }));
    return { record, file: { ...body, replicas, visibility } as unknown as Published['file'] };
  };
  const publishOne = async (body: PublishBody): Promise<Published> => {
    if (script.publish === undefined || script.isPublishedAnyway) published.push(body);
    if (script.publish !== undefined) throw script.publish;
    return {
      ...(await detail(body)),
      targets: livePeers.slice(0, 1).map(({ name: peer, address }) => ({ peer, address })),
    };
  };
  const livePeers = peers.map((name) => ({ name, address: `${name}:1` }));
  const removals = new Removals({ store, now: () => Date.now() });
  const gate = new WorkGate();
  const publisher = new Publisher(
    {
      gate,
      store,
      index: {
        account: async () => {
          if (script.account !== undefined) throw script.account;
          return { userId: 'u', username: 'ann', peerAccount: false, expiresAt: null };
        },
        publish: async (_auth, body) => publishOne(body),
        publishMany: async (_auth, bodies) => {
          calls.push(bodies.length);
          return Promise.all(bodies.map((body) => publishOne(body)));
        },
        locate: async (_auth, { ref }) => {
          if (script.locate !== undefined) throw script.locate;
          const body = published.find(({ id }) => id === ref);
          if (body === undefined) throw new ShoalError('not_found', 'no such file');
          return { ...(await detail(body)), ticket: 'read-ticket', ticketExpiresAt: '' } as Located;
        },
      },
      membership: {
        auth: (onBehalf) => ({ bearer: 'token', onBehalf }),
        livePeers,
        livePeerCount: peers.length + 1,
        swarmToken: 'swarm-token',
        peerName: 'me',
      },
      peers: {
        replicate: async (address, { ticket, connectMs }) => {
          if (connectMs !== undefined && unreached.includes(address)) throw new ShoalError('timeout', 'not reached');
          if (unwilling.includes(address.split(':')[0] ?? '')) throw new ShoalError('exhausted', 'no space');
          copied.push({ address, ticket });
          return { bytesReceived: 1 };
        },
      },
      removals,
      announcer: { changed: (id) => changed.push(id) },
      log,
      wait: new IndexWait({ log }, { waitMs: 0 }),
      now: () => Date.now(),
    },
    { defaultReplicas: 1 },
  );
  const publish = (options: Partial<PublishOptions> = {}, onProgress?: (progress: PublishProgress) => void) =>
    publisher.publish(
      {
        stream: (async function* () {
          yield bytes;
        })(),
        size: bytes.length,
      },
      { name: 'a', wait: true, ...options },
      { signal: new AbortController().signal, ...(onProgress && { onProgress }) },
    );
  return { publisher, gate, publish, published, calls, copied, changed, script, removals };
}

describe('publish', () => {
  test('stores, tells the index, keeps the record and may then be announced', async () => {
    const { publish, published, changed } = setUp();
    const outcome = await publish({ tags: { a: 'b' } });
    expect(published).toHaveLength(1);
    expect(published[0]).toMatchObject({ name: 'a', size: bytes.length, chunks: 1, tags: { a: 'b' }, replicas: 1 });
    const file = store.get(outcome.published.file.id);
    expect(file?.records).toEqual([outcome.published.record]);
    expect(changed).toEqual([file?.id]);
  });

  test('a peer that drains publishes nothing, until that is taken back', async () => {
    const { publish, gate, published } = setUp();
    gate.close();
    await expect(publish()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('draining'),
      hint: expect.stringContaining('shoal drain --undo'),
    });
    expect(store.list()).toEqual([]);
    gate.open();
    await publish();
    expect(published).toHaveLength(1);
  });

  test('what is there at the same time goes to the index together', async () => {
    const { publisher, published, calls } = setUp();
    const puts = Array.from({ length: 150 }, (_, i) => {
      const { signal } = new AbortController();
      return publisher.publish({ bytes: Buffer.from(`content ${i}`) }, { name: `f${i}`, wait: true }, { signal });
    });
    const outcomes = await Promise.all(puts);
    expect(outcomes.map((outcome) => store.get(outcome.published.file.id)?.records)).toEqual(
      outcomes.map((outcome) => [outcome.published.record]),
    );
    expect(published).toHaveLength(150);
    expect(calls.length).toBeLessThan(150);
  });

  test('what has a condition goes alone: it cannot be asked twice', async () => {
    const { publish, published, calls } = setUp();
    await publish({ condition: { ifNoneMatch: ['*'] } });
    expect(published).toMatchObject([{ ifNoneMatch: ['*'] }]);
    expect(calls).toEqual([]);
  });

  test('what the index refuses leaves nothing behind', async () => {
    const { publish, script } = setUp();
    script.publish = new ShoalError('denied', 'you may not');
    await expect(publish()).rejects.toBe(script.publish);
    expect(store.list()).toEqual([]);
  });

  test('what the index refuses does not take away what was published before', async () => {
    const { publish, script } = setUp();
    const { published } = await publish();
    script.publish = new ShoalError('denied', 'you may not');
    await expect(publish({ name: 'b' })).rejects.toBe(script.publish);
    expect(store.get(published.file.id)?.records).toHaveLength(1);
  });

  test('a large source is not read for somebody who may not publish', async () => {
    const { publisher, script } = setUp();
    script.account = new ShoalError('unauthenticated', 'who are you?');
    let isRead = false;
    const stream = (async function* () {
      isRead = true;
      yield bytes;
    })();
    const attempt = publisher.publish(
      { stream, size: 2_000_000 },
      { name: 'a', wait: true },
      { signal: new AbortController().signal },
    );
    await expect(attempt).rejects.toBe(script.account);
    expect(isRead).toBe(false);
  });

  test('a source for which there is no room is not read', async () => {
    const { publisher } = setUp();
    let isRead = false;
    const stream = (async function* () {
      isRead = true;
      yield bytes;
    })();
    const attempt = publisher.publish(
      { stream, size: 6_000_000 },
      { name: 'a', wait: true },
      { signal: new AbortController().signal },
    );
    await expect(attempt).rejects.toMatchObject({ code: 'exhausted', hint: expect.any(String) });
    expect(isRead).toBe(false);
  });

  test('content that is not what the caller says is not kept', async () => {
    const { publish, published } = setUp();
    await expect(publish({ sha256: 'a'.repeat(64) })).rejects.toMatchObject({ code: 'invalid' });
    expect(published).toEqual([]);
    expect(store.list()).toEqual([]);
  });

  test('an order to remove the file does not win against publishing it again', async () => {
    const { publish, removals } = setUp();
    const askedAtMs = Date.now();
    const { published } = await publish();
    expect(await removals.remove(published.file.id, askedAtMs)).toBe(false);
    expect(store.get(published.file.id)).toBeDefined();
  });
});

test('content that is put while it is removed, at whatever moment, is there in the end and no put fails', async () => {
  const { publish, removals } = setUp();
  const { id } = (await publish()).published.file;
  for (let round = 0; round < 10; round += 1) {
    const put = publish();
    let isOver = false;
    put
      .catch(() => undefined)
      .finally(() => {
        isOver = true;
      });
    const attempts: Promise<unknown>[] = [];
    while (!isOver) {
      attempts.push(removals.remove(id, Date.now()).catch((error: ShoalError) => expect(error.code).toBe('not_found')));
      await new Promise(setImmediate);
    }
    const { published } = await put;
    await Promise.all(attempts);
    expect(store.get(id)?.records).toEqual([published.record]);
    expect(await store.get(id)?.readVerified(0)).toBeDefined();
  }
});

describe('a publish of which nobody knows whether it arrived', () => {
  test('is kept, and finished when the index answers again', async () => {
    const { publisher, publish, script, changed } = setUp();
    Object.assign(script, { publish: away, isPublishedAnyway: true });
    await expect(publish()).rejects.toBe(away);
    const [file] = store.list();
    expect(file?.records).toEqual([]);
    publisher.settle();
    await waitFor('the record', () => file?.records.length === 1);
    expect(changed).toEqual([file?.id]);
  });

  test('is removed when the index never heard of it', async () => {
    const { publisher, publish, script } = setUp();
    script.publish = away;
    await expect(publish()).rejects.toBe(away);
    publisher.settle();
    await waitFor('nothing is left', () => store.list().length === 0);
  });

  test('is asked about again while the index cannot say', async () => {
    const { publisher, publish, script } = setUp();
    Object.assign(script, { publish: away, locate: away });
    await expect(publish()).rejects.toBe(away);
    publisher.settle();
    delete script.locate;
    await waitFor('nothing is left', () => {
      publisher.settle();
      return store.list().length === 0;
    });
  });
});

describe('copies', () => {
  test('are pulled by whom the index chose, and told of', async () => {
    const { publish, copied } = setUp({ peers: ['p1', 'p2'] });
    const seen: PublishProgress[] = [];
    expect((await publish({ replicas: 2 }, (progress) => seen.push(progress))).copies).toBe(2);
    expect(copied).toEqual([{ address: 'p1:1', ticket: 'swarm-token' }]);
    expect(seen.at(-1)).toEqual({
      phase: 'replicating',
      doneBytes: bytes.length,
      totalBytes: bytes.length,
      copies: 2,
    });
  });

  test('that one peer cannot take go to another', async () => {
    const { publish, copied } = setUp({ peers: ['p1', 'p2', 'p3'], unwilling: ['p1'] });
    expect((await publish({ replicas: 3 })).copies).toBe(3);
    expect(copied.map(({ address }) => address).sort()).toEqual(['p2:1', 'p3:1']);
  });

  test('that one peer is not reached for go to another', async () => {
    const { publish, copied } = setUp({ peers: ['p1', 'p2'], unreached: ['p1:1'] });
    expect((await publish({ replicas: 2 })).copies).toBe(2);
    expect(copied.map(({ address }) => address)).toEqual(['p2:1']);
  });

  test('that only peers can take that are not reached soon are waited for', async () => {
    const { publish, copied } = setUp({ peers: ['p1', 'p2'], unreached: ['p1:1'], unwilling: ['p2'] });
    expect((await publish({ replicas: 2 })).copies).toBe(2);
    expect(copied.map(({ address }) => address)).toEqual(['p1:1']);
  });

  test('are waited for only as long as a live peer may take them', async () => {
    const { publish } = setUp({ peers: ['p1', 'p2'], unwilling: ['p1', 'p2'] });
    expect((await publish({ replicas: 3 })).copies).toBe(1);
  });

  test('of a private file are pulled with a read ticket', async () => {
    const { publish, copied } = setUp({ peers: ['p1'] });
    await publish({ replicas: 2, visibility: 'private' });
    expect(copied).toEqual([{ address: 'p1:1', ticket: 'read-ticket' }]);
  });

  test('nobody waits for are made all the same', async () => {
    const { publish, copied } = setUp({ peers: ['p1'] });
    expect((await publish({ replicas: 2, wait: false })).copies).toBe(1);
    await waitFor('the copy', () => copied.length === 1);
  });
});
