import { setImmediate as turn } from 'node:timers/promises';
import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import { type AnnounceBody, type Announced, recordsRevision } from '../index-server/api/peers.js';
import { LIMITS } from '../index-server/api/values.js';
import { Announcer, pagesOf } from './announcer.js';
import type { StoredFile } from './chunk-store.js';
import { PeerMetrics } from './metrics.js';

const timers = import.meta.jest;

const GATHER_MS = 100;
/** Lets time pass, and then what is read in between turns of the event loop, which are real. */
const pass = async (ms: number) => {
  await timers.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 100; i++) await turn();
};
const nothing: Announced = { unknown: [], removed: [] };

function file(id: string, given: { isComplete?: boolean; records?: readonly string[] } = {}): StoredFile {
  return { id, isComplete: true, records: [`record-${id}`], ...given } as StoredFile;
}
const holding = (id: string) => ({ id, complete: true, revision: recordsRevision([`record-${id}`]) });

let stop: () => Promise<void>;

function setUp() {
  const files = new Map<string, StoredFile>();
  const listeners: ((event: { kind: 'added'; id: string }) => void)[] = [];
  const said: AnnounceBody[] = [];
  const restored: string[][] = [];
  const removed: [string, number][] = [];
  const kept: string[] = [];
  const script: { answer: Announced; failure?: ShoalError } = { answer: nothing };
  const metrics = new PeerMetrics();
  const announcer = new Announcer(
    {
      store: {
        list: () => [...files.values()],
        get: (id) => files.get(id),
        onChange: (listener) => {
          listeners.push(listener as never);
          return () => listeners.splice(0);
        },
      },
      index: {
        announce: async (_auth, _name, body) => {
          if (script.failure !== undefined) throw script.failure;
          said.push(body);
          return script.answer;
        },
        restore: async (_auth, _name, records) => {
          restored.push([...records]);
          return { restored: records.length, refused: 0 };
        },
      },
      membership: { auth: () => ({ bearer: 'token' }), peerName: 'peer-1', incarnation: 'incarnation-1' },
      removals: {
        remove: async (id, askedAtMs) => {
          removed.push([id, askedAtMs]);
          return true;
        },
      },
      tombstones: {
        keepFor: async (records, removal) => {
          kept.push(...records);
          return removal();
        },
      },
      metrics,
      log: createLogger({ name: 'test', level: 'silent' }),
      now: () => Date.now(),
    },
    { gatherMs: GATHER_MS },
  );
  announcer.start();
  stop = async () => {
    metrics.close();
    await announcer.stop();
  };
  const put = (stored: StoredFile) => {
    files.set(stored.id, stored);
    for (const listener of listeners) listener({ kind: 'added', id: stored.id });
  };
  const drop = (id: string) => {
    files.delete(id);
    for (const listener of listeners) listener({ kind: 'added', id });
  };
  return { announcer, put, drop, said, restored, removed, kept, script, metrics };
}

beforeEach(() => {
  timers.useFakeTimers({ doNotFake: ['performance', 'queueMicrotask', 'nextTick'] });
});
afterEach(async () => {
  await stop();
  timers.useRealTimers();
});

describe('changes', () => {
  test('are gathered and told together, each as it is when it is told', async () => {
    const { put, drop, said } = setUp();
    put(file('a', { isComplete: false }));
    put(file('b'));
    put(file('a'));
    put(file('c'));
    drop('c');
    await pass(GATHER_MS - 1);
    expect(said).toEqual([]);
    await pass(1);
    expect(said).toEqual([{ incarnation: 'incarnation-1', held: [holding('a'), holding('b')], dropped: ['c'] }]);
    await pass(10_000);
    expect(said).toHaveLength(1);
  });

  test('of a file that is still being published are not told', async () => {
    const { put, said, announcer } = setUp();
    put(file('a', { records: [] }));
    await pass(GATHER_MS);
    expect(said).toEqual([]);
    put(file('a'));
    announcer.changed('a');
    await pass(GATHER_MS);
    expect(said).toHaveLength(1);
  });

  test('a part of a file is told though it has no record yet', async () => {
    const { put, said } = setUp();
    put(file('a', { records: [], isComplete: false }));
    await pass(GATHER_MS);
    expect(said[0]?.held).toEqual([{ id: 'a', complete: false }]);
  });

  test('that could not be told are told when the index answers again', async () => {
    const { put, said, script, metrics } = setUp();
    script.failure = new ShoalError('unavailable', 'away');
    put(file('a'));
    await pass(60_000);
    expect(said).toEqual([]);
    delete script.failure;
    await pass(10_000);
    expect(said).toHaveLength(1);
    const { values } = await metrics.announces.get();
    const count = (result: string) =>
      values.find(({ labels }) => labels.kind === 'changes' && labels.result === result);
    expect(count('ok')?.value).toBe(1);
    expect(count('unavailable')?.value).toBeGreaterThan(5);
  });

  test('more than fit into one call take several', async () => {
    const { put, said } = setUp();
    for (let i = 0; i < LIMITS.announce + 1; i++) put(file(`f${i}`));
    await pass(GATHER_MS);
    await pass(GATHER_MS);
    expect(said.map(({ held }) => held.length)).toEqual([LIMITS.announce, 1]);
  });
});

describe('everything', () => {
  test('is told at once after a join', async () => {
    const { put, announcer, said } = setUp();
    put(file('a'));
    announcer.announceAll();
    await pass(0);
    expect(said).toEqual([{ incarnation: 'incarnation-1', held: [holding('a')], full: 'only' }]);
  });

  test('is told even when it is nothing, so that the index forgets what was', async () => {
    const { announcer, said } = setUp();
    announcer.announceAll();
    await pass(0);
    expect(said).toEqual([{ incarnation: 'incarnation-1', held: [], full: 'only' }]);
  });

  test('takes several calls between begin and end, and the mark of the first goes into the last', async () => {
    const { put, announcer, said, script } = setUp();
    for (let i = 0; i < 2 * LIMITS.announce + 1; i++) put(file(`f${i}`));
    script.answer = { ...nothing, mark: 'm1' };
    announcer.announceAll();
    await pass(0);
    expect(said.map(({ full, mark, held }) => [full, mark, held.length])).toEqual([
      ['begin', undefined, LIMITS.announce],
      [undefined, undefined, LIMITS.announce],
      ['end', 'm1', 1],
    ]);
  });

  test('is not told twice when the index asked for it before it was told', async () => {
    const { announcer, said } = setUp();
    const askedAtMs = Date.now();
    await pass(50);
    announcer.announceAll();
    await pass(0);
    announcer.announceAll(askedAtMs);
    await pass(0);
    expect(said).toHaveLength(1);
    await pass(50);
    announcer.announceAll(Date.now());
    await pass(0);
    expect(said).toHaveLength(2);
  });

  test('is told from its beginning again when it was interrupted, and changes after it', async () => {
    const { put, announcer, said, script } = setUp();
    put(file('a'));
    script.failure = new ShoalError('timeout', 'slow');
    announcer.announceAll();
    await pass(200);
    delete script.failure;
    put(file('b'));
    await pass(5_000);
    expect(said[0]?.full).toBe('only');
    expect(said[0]?.held).toHaveLength(2);
  });
});

describe('the answer', () => {
  test('brings the records of files that the index has forgotten', async () => {
    const { put, script, restored } = setUp();
    put(file('a'));
    put(file('b'));
    script.answer = { unknown: ['b', 'never-heard-of'], removed: [] };
    await pass(GATHER_MS);
    expect(restored).toEqual([['record-b']]);
  });

  test('removes files that are gone from the catalogue, as of when it was asked', async () => {
    const { put, script, removed, kept } = setUp();
    put(file('a'));
    script.answer = { unknown: [], removed: ['a'], tombstones: ['proof'] };
    await pass(GATHER_MS);
    expect(removed).toEqual([['a', Date.now()]]);
    expect(kept).toEqual(['proof']);
  });
});

test('after stop nothing more is said', async () => {
  const { put, announcer, said } = setUp();
  put(file('a'));
  await announcer.stop();
  await pass(1_000);
  announcer.announceAll();
  await pass(1_000);
  expect(said).toEqual([]);
});

test('records go in pages that the index takes', () => {
  expect(pagesOf([])).toEqual([]);
  const small = Array.from({ length: LIMITS.announce + 1 }, (_, i) => `${i}`);
  expect(pagesOf(small).map((page) => page.length)).toEqual([LIMITS.announce, 1]);
  const large = Array.from({ length: 100 }, () => 'x'.repeat(60_000));
  const pages = pagesOf(large);
  expect(pages.flat()).toEqual(large);
  for (const page of pages) expect(page.join('').length).toBeLessThanOrEqual(LIMITS.bodyBytes / 2);
});
