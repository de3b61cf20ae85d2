import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { Located } from '../index-server/api/files.js';
import type { Order } from '../index-server/api/peers.js';
import type { Signer } from '../index-server/signer.js';
import type { StoredFile } from './chunk-store.js';
import { OrderRunner } from './orders.js';
import type { Fetch, FetchOutcome, FetchRequest } from './swarm/fetch.js';
import { claimsFor, newSigner } from './testing/signatures.js';
import { waitFor } from './testing/wait-for.js';
import { TicketVerifier } from './tickets.js';
import { WorkGate } from './work-gate.js';

const id = (n: number) => `${n}`.repeat(64);

let signer: Signer;
beforeAll(async () => {
  signer = await newSigner();
});

/** A file that is here as far as these tests look. */
function heldFile(fileId: string, isComplete = true) {
  const file = {
    id: fileId,
    isComplete,
    records: [] as readonly string[],
    async setRecords(records: readonly string[]) {
      file.records = records;
    },
  };
  return file as typeof file & StoredFile;
}

interface Started {
  readonly request: FetchRequest;
  finish(error?: ShoalError): void;
  isCancelled(): boolean;
}

function setUp(concurrency = 2) {
  const files = new Map<string, StoredFile>();
  const started: Started[] = [];
  const removed: string[] = [];
  const changed: string[] = [];
  const clock = { now: 1_000 };
  const lines: string[] = [];
  const asked: unknown[] = [];
  const givenBack: string[] = [];
  const kept: string[] = [];
  const script: { locate?: ShoalError; takesBack?: boolean } = {};
  let beats = 0;
  const verifier = new TicketVerifier({ clockToleranceSeconds: 0 });
  verifier.setKeys([signer.publicJwk]);
  const start = (request: FetchRequest): Fetch => {
    const file = heldFile(request.id, false);
    let settle: { resolve(outcome: FetchOutcome): void; reject(error: ShoalError): void };
    const outcome = new Promise<FetchOutcome>((resolve, reject) => {
      settle = { resolve, reject };
    });
    let signal: AbortSignal | undefined;
    started.push({
      request,
      finish(error) {
        if (error !== undefined) {
          settle.reject(error);
          return;
        }
        Object.assign(file, { isComplete: true });
        files.set(request.id, file);
        settle.resolve({ file, receivedBytes: 7, peers: 1 });
      },
      isCancelled: () => signal?.aborted === true,
    });
    return {
      id: request.id,
      opened: async () => file,
      finished: (given) => {
        signal = given;
        given.addEventListener('abort', () => settle.reject(new ShoalError('cancelled', 'cancelled')));
        return outcome;
      },
      onProgress: () => () => undefined,
      prioritise: () => undefined,
      hasTold: () => false,
    };
  };
  const gate = new WorkGate();
  const runner = new OrderRunner(
    {
      gate,
      store: { get: (fileId) => files.get(fileId) },
      fetcher: { start },
      verifier,
      index: {
        locate: async ({ onBehalf }, { ref }) => {
          if (script.locate !== undefined) throw script.locate;
          asked.push([ref, onBehalf]);
          const holders = [
            { peer: 'peer-3', address: 'c:1', complete: true },
            { peer: 'me', address: 'me:1', complete: true },
          ];
          return { record: 'the record', file: { sha256: 's', holders } } as unknown as Located;
        },
        restore: async (_auth, _name, records) => {
          givenBack.push(...records);
          const restored = script.takesBack === true ? records.length : 0;
          return { restored, refused: records.length - restored };
        },
      },
      membership: {
        auth: (onBehalf) => ({ bearer: 'token', onBehalf }),
        livePeers: [{ name: 'peer-2', address: 'a:1' }],
        peerName: 'me',
        beatNow: () => beats++,
      },
      removals: {
        remove: async (fileId) => {
          removed.push(fileId);
          return true;
        },
      },
      tombstones: {
        keepFor: async (records, removal) => {
          kept.push(...records);
          return removal();
        },
      },
      announcer: { changed: (fileId) => changed.push(fileId) },
      log: createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(line) }),
      now: () => clock.now,
    },
    { concurrency },
  );
  return {
    runner,
    gate,
    files,
    started,
    removed,
    changed,
    clock,
    lines,
    asked,
    givenBack,
    kept,
    script,
    beats: () => beats,
  };
}

async function replicate(n: number, ticket = 'ticket'): Promise<Order> {
  const records = [await signer.record(claimsFor(id(n)))];
  return { do: 'replicate', id: id(n), records, ticket, holders: [{ peer: 'p', address: 'a:1', complete: true }] };
}

describe('replicate', () => {
  test('fetches with what the order says and keeps its records', async () => {
    const { runner, started, files, changed } = setUp();
    const order = await replicate(1);
    runner.take([order], 0);
    expect(started[0]?.request).toEqual({
      id: id(1),
      ticket: 'ticket',
      holders: order.do === 'replicate' && order.holders,
    });
    expect(runner.isReplicating(id(1))).toBe(true);
    started[0]?.finish();
    await waitFor('the record', () => (files.get(id(1))?.records.length ?? 0) > 0);
    await waitFor('the end', () => !runner.isReplicating(id(1)));
    expect(changed).toEqual([id(1)]);
  });

  test('so many at a time, the others after them', async () => {
    const { runner, started } = setUp(2);
    runner.take(await Promise.all([1, 2, 3].map((n) => replicate(n))), 0);
    expect(started).toHaveLength(2);
    started[0]?.finish();
    await waitFor('the third', () => started.length === 3);
  });

  test('none while this peer drains, but other orders are carried out', async () => {
    const { runner, gate, started, removed } = setUp();
    gate.close();
    runner.take([await replicate(1), { do: 'drop', id: id(2) }], 0);
    await waitFor('the removal', () => removed.length === 1);
    expect(started).toEqual([]);
    const asked = runner.replicate(id(1), 'ticket', new AbortController().signal);
    await expect(asked).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('--undo') });
    gate.open();
    runner.take([await replicate(1)], 0);
    expect(started).toHaveLength(1);
  });

  test('when all are made and told, the index is asked for more; once', async () => {
    const { runner, started, beats } = setUp(2);
    runner.announced();
    runner.take(await Promise.all([1, 2].map((n) => replicate(n))), 0);
    started[0]?.finish();
    await waitFor('the first', () => !runner.isReplicating(id(1)));
    runner.announced();
    expect(beats()).toBe(0);
    started[1]?.finish();
    await waitFor('the second', () => !runner.isReplicating(id(2)));
    runner.announced();
    runner.announced();
    expect(beats()).toBe(1);
  });

  test('a repeated order brings its new ticket to the fetch that runs', async () => {
    const { runner, started } = setUp();
    runner.take([await replicate(1)], 0);
    runner.take([await replicate(1, 'newer')], 0);
    expect(started.map(({ request }) => request.ticket)).toEqual(['ticket', 'newer']);
  });

  test('one that failed is tried again at a later repetition, not at the next', async () => {
    const { runner, started, clock } = setUp();
    const order = await replicate(1);
    runner.take([order], 0);
    started[0]?.finish(new ShoalError('exhausted', 'no space'));
    await waitFor('the end', () => !runner.isReplicating(id(1)));
    runner.take([order], 0);
    expect(started).toHaveLength(1);
    clock.now += 2_000;
    runner.take([order], 0);
    expect(started).toHaveLength(2);
  });

  test('a file that is here already only gets its records', async () => {
    const { runner, started, files } = setUp();
    files.set(id(1), heldFile(id(1)));
    runner.take([await replicate(1)], 0);
    await waitFor('the record', () => (files.get(id(1))?.records.length ?? 0) > 0);
    expect(started).toEqual([]);
  });

  test('stops when the peer leaves', async () => {
    const { runner, started } = setUp();
    runner.take([await replicate(1)], 0);
    await runner.stop();
    expect(started[0]?.isCancelled()).toBe(true);
    runner.take([await replicate(2)], 0);
    expect(started).toHaveLength(1);
  });
});

describe('a copy that a peer asks for', () => {
  test('is fetched with the record and the holders that its ticket gives a right to', async () => {
    const { runner, started, beats, asked } = setUp();
    const copying = runner.replicate(id(1), 'ticket', new AbortController().signal);
    expect(runner.isReplicating(id(1))).toBe(true);
    expect(beats()).toBe(1);
    await waitFor('the fetch', () => started.length === 1);
    expect(asked).toEqual([[id(1), 'ticket']]);
    expect(started[0]?.request).toEqual({
      ...{ id: id(1), ticket: 'ticket', record: 'the record', sha256: 's' },
      holders: [
        { peer: 'peer-2', address: 'a:1', complete: false },
        { peer: 'peer-3', address: 'c:1', complete: true },
      ],
    });
    started[0]?.finish();
    expect(await copying).toEqual({ receivedBytes: 7 });
    expect(runner.isReplicating(id(1))).toBe(false);
  });

  test('is fetched from the live peers while the index is away', async () => {
    const { runner, started, script } = setUp();
    script.locate = new ShoalError('unavailable', 'away');
    const copying = runner.replicate(id(1), 'ticket', new AbortController().signal);
    await waitFor('the fetch', () => started.length === 1);
    expect(started[0]?.request).toEqual({
      ...{ id: id(1), ticket: 'ticket' },
      holders: [{ peer: 'peer-2', address: 'a:1', complete: false }],
    });
    started[0]?.finish();
    expect(await copying).toEqual({ receivedBytes: 7 });
  });

  test('that is here already costs nothing', async () => {
    const { runner, started, files } = setUp();
    files.set(id(1), heldFile(id(1)));
    expect(await runner.replicate(id(1), 'ticket', new AbortController().signal)).toEqual({ receivedBytes: 0 });
    expect(started).toEqual([]);
  });
});

describe('update', () => {
  test('puts the records in place of the old ones', async () => {
    const { runner, files, changed, givenBack } = setUp();
    const file = heldFile(id(1));
    const old = await signer.record(claimsFor(id(1), { revision: 1 }));
    file.records = [old];
    files.set(id(1), file);
    const records = [await signer.record(claimsFor(id(1), { tags: { a: 'b' }, revision: 2 }))];
    runner.take([{ do: 'update', id: id(1), records }], 0);
    await waitFor('the records', () => file.records[0] !== old);
    expect(file.records).toEqual(records);
    expect(changed).toEqual([id(1)]);
    expect(givenBack).toEqual([]);
  });

  test('gives back first what is newer here, or not known there, and keeps it if it is taken', async () => {
    const { runner, files, changed, givenBack, script } = setUp();
    script.takesBack = true;
    const file = heldFile(id(1));
    const newer = await signer.record(claimsFor(id(1), { visibility: 'private', revision: 2 }));
    const other = await signer.record(claimsFor(id(1), { name: 'another' }));
    file.records = [newer, other];
    files.set(id(1), file);
    const records = [await signer.record(claimsFor(id(1), { revision: 1 }))];
    runner.take([{ do: 'update', id: id(1), records }], 0);
    await waitFor('the announcement', () => changed.length === 1);
    expect(givenBack).toEqual([newer, other]);
    expect(file.records).toEqual([newer, other]);
  });

  test('is obeyed when the index takes nothing back: those names were removed', async () => {
    const { runner, files, givenBack } = setUp();
    const file = heldFile(id(1));
    const kept = await signer.record(claimsFor(id(1)));
    const removed = await signer.record(claimsFor(id(1), { name: 'removed' }));
    file.records = [kept, removed];
    files.set(id(1), file);
    runner.take([{ do: 'update', id: id(1), records: [kept] }], 0);
    await waitFor('the records', () => file.records.length === 1);
    expect(file.records).toEqual([kept]);
    expect(givenBack).toEqual([removed]);
  });

  test.each([
    ['of another index', async () => (await newSigner()).record(claimsFor(id(1)))],
    ['of another file', async () => signer.record(claimsFor(id(2)))],
  ])('a record %s is not kept', async (_what, make) => {
    const { runner, files, changed } = setUp();
    const file = heldFile(id(1));
    const old = await signer.record(claimsFor(id(1)));
    file.records = [old];
    files.set(id(1), file);
    runner.take([{ do: 'update', id: id(1), records: [await make()] }], 0);
    await runner.stop();
    expect(file.records).toEqual([old]);
    expect(changed).toEqual([]);
  });
});

describe('drop', () => {
  test('removes the file and keeps the proof', async () => {
    const { runner, removed, kept } = setUp();
    runner.take([{ do: 'drop', id: id(1), tombstones: ['proof'] }], 0);
    await waitFor('the removal', () => removed.length === 1);
    expect(removed).toEqual([id(1)]);
    expect(kept).toEqual(['proof']);
  });
});

test('an order that fails at each repetition is logged once', async () => {
  const { runner, files, lines } = setUp();
  let attempts = 0;
  const file = heldFile(id(1));
  file.setRecords = async () => {
    attempts += 1;
    throw new ShoalError('exhausted', 'no space left on the disk');
  };
  files.set(id(1), file);
  const order: Order = { do: 'update', id: id(1), records: [await signer.record(claimsFor(id(1)))] };
  for (let repetition = 1; repetition <= 3; repetition += 1) {
    runner.take([order], 0);
    await waitFor('the attempt', () => attempts === repetition);
  }
  await runner.stop();
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 40, error: { code: 'exhausted' } }]);
});
