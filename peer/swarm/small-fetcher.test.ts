import { randomBytes } from 'node:crypto';
import type { Holder } from '../../index-server/api/files.js';
import { manifestOf } from '../manifest.js';
import { SMALL_FILE_BYTES } from '../small-files.js';
import type { StoredFile } from '../stored-file.js';
import { IMPATIENT, type SwarmPeer, startBadSmallPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { SmallFetcher } from './small-fetcher.js';

/* Small files from peers that have them, do not have them, or lie. */

const DEAD: Holder = { peer: 'dead', address: '127.0.0.1:1', complete: true };

let a: SwarmPeer;
let b: SwarmPeer;
let here: SwarmPeer;
let reports: string[];
let counts: Record<string, number>;
beforeEach(async () => {
  [a, b, here] = await Promise.all([startSwarmPeer('a'), startSwarmPeer('b'), startSwarmPeer('here')]);
  reports = [];
  counts = {};
});
afterEach(() => Promise.all([a, b, here].map((peer) => peer.close())));

/** It waits as long as it takes for good peers, unless it is told not to. */
function newFetcher(options = { silentMs: 60_000 }): SmallFetcher {
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  return new SmallFetcher(
    {
      store: here.store,
      peers: here.remote,
      membership: { swarmToken: TICKET },
      checkRecords: (_id, records) => Promise.resolve({ records: records.filter((record) => record !== 'forged') }),
      report: (id, peer) => reports.push(`${id}/${peer}`),
      observer: {
        receivedBytes: () => count('received'),
        chunk: (result) => count(result),
        firstByte: () => count('firstByte'),
        ended: (result) => count(`ended ${result}`),
      },
      now: () => performance.now(),
      random: Math.random,
    },
    options,
  );
}

async function publish(bytes: Buffer, ...peers: SwarmPeer[]): Promise<string> {
  for (const { store } of peers)
    await store.ingest({ bytes }, { signal: new AbortController().signal, onProgress: () => {} });
  return manifestOf(bytes).id;
}

function wanted(id: string, size: number, holders: readonly Holder[]) {
  const otherwise = () => Promise.reject(new Error(`an ordinary fetch of ${id}`));
  return { id, size, ticket: '', record: 'record', holders, otherwise };
}

async function contentOf(file: StoredFile): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of file.read({ offset: 0, length: file.size })) parts.push(part);
  return Buffer.concat(parts);
}

test('come from all who have them, whole, with their records', async () => {
  const fetcher = newFetcher();
  // Large enough that no two of those with bytes are alike.
  const sizes = [0, 100, 10_000, 65_537, SMALL_FILE_BYTES];
  const files = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const bytes = randomBytes(sizes[i % sizes.length] ?? 0);
      return { bytes, id: await publish(bytes, a, b) };
    }),
  );
  const outcomes = await Promise.all(
    files.map(({ id, bytes }) => fetcher.fetch(wanted(id, bytes.length, [a.holder, b.holder]))),
  );
  for (const [i, { file, bytes, receivedBytes, peers }] of outcomes.entries()) {
    const expected = files[i]?.bytes ?? Buffer.alloc(0);
    expect(bytes?.equals(expected)).toBe(true);
    expect((await contentOf(file)).equals(expected)).toBe(true);
    expect({ receivedBytes, peers, records: file.records }).toEqual({
      receivedBytes: expected.length,
      peers: 1,
      records: ['record'],
    });
  }
  expect(Math.min(a.sent.bytes, b.sent.bytes)).toBeGreaterThan(0);
  expect(counts['ended ok']).toBe(81);
});

test('are fetched once for all who want them at the same time', async () => {
  const fetcher = newFetcher();
  const bytes = randomBytes(5_000);
  const id = await publish(bytes, a);
  const [one, other] = await Promise.all([1, 2].map(() => fetcher.fetch(wanted(id, 5_000, [a.holder]))));
  expect(one?.file).toBe(other?.file);
  expect(a.sent.bytes).toBe(5_000);
});

test('take no record that the index has not signed', async () => {
  const bytes = randomBytes(100);
  const id = await publish(bytes, a);
  const { file } = await newFetcher().fetch({ ...wanted(id, 100, [a.holder]), record: 'forged' });
  expect(file.records).toEqual([]);
});

describe.each(['lying', 'silent', 'refusing'] as const)('from a %s peer', (nature) => {
  let bad: Awaited<ReturnType<typeof startBadSmallPeer>>;
  beforeEach(async () => {
    bad = await startBadSmallPeer('bad', nature);
  });
  afterEach(() => bad.close());

  test('are taken from others', async () => {
    const fetcher = newFetcher(nature === 'silent' ? IMPATIENT : undefined);
    const files = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const bytes = randomBytes(1_000);
        return { bytes, id: await publish(bytes, a) };
      }),
    );
    const holders = [bad.holder, DEAD, a.holder];
    const outcomes = await Promise.all(files.map(({ id }) => fetcher.fetch(wanted(id, 1_000, holders))));
    for (const [i, { bytes }] of outcomes.entries()) {
      expect(bytes?.equals(files[i]?.bytes ?? Buffer.alloc(0))).toBe(true);
    }
    if (nature === 'lying') {
      expect(reports.length).toBeGreaterThan(0);
      expect(reports.every((report) => report.endsWith('/bad'))).toBe(true);
      expect(counts['corrupt']).toBe(reports.length);
    } else {
      expect(reports).toEqual([]);
    }
  });

  test('are left to an ordinary fetch where there is nobody else', async () => {
    const id = manifestOf(randomBytes(10)).id;
    const otherwise = () => Promise.resolve({ file: {} as StoredFile, receivedBytes: 3, peers: 2 });
    const outcome = await newFetcher(nature === 'silent' ? IMPATIENT : undefined).fetch({
      ...wanted(id, 10, [bad.holder]),
      otherwise,
    });
    expect(outcome).toMatchObject({ receivedBytes: 3, peers: 2 });
    expect(outcome.bytes).toBeUndefined();
  });
});

test('are not asked of those who have only a part', async () => {
  const id = await publish(randomBytes(10), a);
  const holders = [{ ...a.holder, complete: false }];
  await expect(newFetcher().fetch(wanted(id, 10, holders))).rejects.toThrow(`an ordinary fetch of ${id}`);
});
