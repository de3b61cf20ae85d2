import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { Located } from '../index-server/api/files.js';
import type { Signer } from '../index-server/signer.js';
import type { StoredFile } from './chunk-store.js';
import { IndexWait } from './index-wait.js';
import { Retriever } from './retrieve.js';
import type { Fetch, FetchRequest } from './swarm/fetch.js';
import type { SmallFetch } from './swarm/small-fetcher.js';
import { claimsFor, newSigner } from './testing/signatures.js';
import { TicketVerifier } from './tickets.js';

const ID = 'ab'.repeat(32);
const other = { peer: 'p2', address: 'p2:1', complete: true };
const away = new ShoalError('unavailable', 'the index does not answer');
const signal = new AbortController().signal;

let signer: Signer;
let record: string;
let secretRecord: string;
beforeAll(async () => {
  signer = await newSigner();
  record = await signer.record(claimsFor(ID));
  secretRecord = await signer.record(claimsFor(ID, { visibility: 'private' }));
});

function setUp(here?: { readonly isComplete: boolean; readonly records: readonly string[] }, waitMs = 0) {
  const started: FetchRequest[] = [];
  const small: SmallFetch[] = [];
  const script: { failure?: ShoalError; size?: number; visibility?: string } = {};
  const verifier = new TicketVerifier({ clockToleranceSeconds: 0 });
  verifier.setKeys([signer.publicJwk]);
  const file =
    here === undefined
      ? undefined
      : {
          id: ID,
          ...here,
          async setRecords(records: readonly string[]) {
            Object.assign(file as object, { records });
          },
        };
  const retriever = new Retriever({
    store: { get: (id) => (id === ID ? (file as unknown as StoredFile) : undefined) },
    index: {
      locateMany: async (_auth, refs) => {
        if (script.failure !== undefined) throw script.failure;
        const holders = [other, { peer: 'me', address: 'me:1', complete: true }];
        const { size = 10, visibility = 'public' } = script;
        const file = { id: ID, sha256: 's', size, visibility, holders };
        return refs.map(() => ({ file, record, ticket: 'ticket', ticketExpiresAt: '' }) as unknown as Located);
      },
    },
    fetcher: {
      start: (request) => {
        started.push(request);
        return { id: request.id } as Fetch;
      },
      get: () => undefined,
    },
    smallFetcher: {
      fetch: async (wanted) => {
        small.push(wanted);
        return { file: {} as StoredFile, receivedBytes: wanted.size, peers: 1 };
      },
    },
    membership: {
      auth: (onBehalf) => ({ bearer: 'token', onBehalf }),
      livePeers: [{ name: 'p3', address: 'p3:1' }],
      swarmToken: 'swarm-token',
      peerName: 'me',
    },
    verifier,
    wait: new IndexWait({ log: createLogger({ name: 'test', level: 'silent' }) }, { waitMs }),
  });
  return { retriever, started, small, script, file };
}

describe('a whole file', () => {
  test('that is small is fetched with others, by the token of peers where everybody may read it', async () => {
    const { retriever, started, small } = setUp();
    expect(await retriever.retrieveWhole('name', {}, signal)).toMatchObject({ receivedBytes: 10, peers: 1 });
    expect(small).toMatchObject([{ id: ID, size: 10, ticket: '', record, holders: [other] }]);
    expect(started).toEqual([]);
  });

  test('that is private is asked for with its own ticket', async () => {
    const { retriever, small, script } = setUp();
    script.visibility = 'private';
    await retriever.retrieveWhole('name', {}, signal);
    expect(small).toMatchObject([{ ticket: 'ticket' }]);
  });

  test('that is here is not fetched, and one of which a part is here goes on from there', async () => {
    const whole = setUp({ isComplete: true, records: [record] });
    expect((await whole.retriever.retrieveWhole('name', {}, signal)).file).toBe(whole.file);
    const part = setUp({ isComplete: false, records: [record] });
    await expect(part.retriever.retrieveWhole('name', {}, signal)).rejects.toThrow();
    expect([whole.small, part.small, whole.started]).toEqual([[], [], []]);
    expect(part.started).toHaveLength(1);
  });

  test('that is large is not fetched with others', async () => {
    const { retriever, started, small, script } = setUp();
    script.size = 1_000_000;
    await expect(retriever.retrieveWhole('name', {}, signal)).rejects.toThrow();
    expect([small, started.length]).toEqual([[], 1]);
  });

  test('that is public and here can be had while the index is away', async () => {
    const { retriever, file, script } = setUp({ isComplete: true, records: [record] });
    script.failure = away;
    expect((await retriever.retrieveWhole(ID, {}, signal)).file).toBe(file);
  });
});

describe('with the index', () => {
  test('what is here is not fetched, and gets the record that it lacked', async () => {
    const { retriever, started, file } = setUp({ isComplete: true, records: [] });
    expect((await retriever.retrieve('name', {}, signal)).file).toBe(file);
    expect(started).toEqual([]);
    expect(file?.records).toEqual([record]);
  });

  test('what is not here, or only in part, is fetched from others', async () => {
    const { retriever, started } = setUp({ isComplete: false, records: [] });
    await retriever.retrieve('name', { onBehalf: 'session' }, signal);
    expect(started).toEqual([{ id: ID, record, ticket: 'ticket', sha256: 's', holders: [other], onBehalf: 'session' }]);
  });

  test('its word counts, even if the file is here', async () => {
    const { retriever, script } = setUp({ isComplete: true, records: [record] });
    script.failure = new ShoalError('not_found', 'no such file');
    await expect(retriever.retrieve(ID, {}, signal)).rejects.toBe(script.failure);
  });
});

describe('without the index', () => {
  test('a public file that is here is read', async () => {
    const { retriever, script, file } = setUp({ isComplete: true, records: [record] });
    script.failure = away;
    expect((await retriever.retrieve(ID, {}, signal)).file).toBe(file);
  });

  test('a private one is not, but by who has had it', async () => {
    const { retriever, script, file } = setUp({ isComplete: true, records: [secretRecord] });
    await retriever.retrieve(ID, { onBehalf: 'anns-session' }, signal);
    Object.assign(file as object, { records: [secretRecord] });
    script.failure = away;
    await expect(retriever.retrieve(ID, {}, signal)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(retriever.retrieve(ID, { onBehalf: 'bobs-session' }, signal)).rejects.toBe(away);
    expect((await retriever.retrieve(ID, { onBehalf: 'anns-session' }, signal)).file).toBe(file);
  });

  test('a public file is fetched from the peers that were live last', async () => {
    const { retriever, script, started } = setUp();
    script.failure = away;
    await retriever.retrieve(ID, {}, signal);
    expect(started).toEqual([
      { id: ID, ticket: 'swarm-token', holders: [{ peer: 'p3', address: 'p3:1', complete: false }] },
    ]);
  });

  test('one that was located before is fetched with the ticket of that time', async () => {
    const { retriever, script, started } = setUp();
    await retriever.locate('name', {}, signal);
    script.failure = away;
    await retriever.retrieve(ID, {}, signal);
    expect(started).toEqual([
      {
        id: ID,
        ticket: 'ticket',
        record,
        sha256: 's',
        holders: [other, { peer: 'p3', address: 'p3:1', complete: false }],
      },
    ]);
  });

  test('a session that was never checked is no session', async () => {
    const { retriever, script } = setUp({ isComplete: true, records: [record] });
    script.failure = away;
    await expect(retriever.retrieve(ID, { onBehalf: 'made-up' }, signal)).rejects.toBe(away);
  });

  test('a name cannot be looked up', async () => {
    const { retriever, script } = setUp({ isComplete: true, records: [record] });
    script.failure = away;
    await expect(retriever.retrieve('name', {}, signal)).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('by its id'),
    });
  });
});

describe('an index that comes back', () => {
  test('is waited for by who wants a name, and they are told', async () => {
    const { retriever, started, script } = setUp(undefined, 30_000);
    script.failure = away;
    const told: string[] = [];
    const onWaiting = (reason: string) => {
      told.push(reason);
      if (told.length === 2) delete script.failure;
    };
    await retriever.retrieve('name', { onWaiting }, signal);
    expect(started.map(({ id }) => id)).toEqual([ID]);
    expect(told[0]).toMatch(/^the index does not answer; giving up in \d+ s$/);
  });

  test('is waited for by who wants an id that cannot be had without it', async () => {
    const { retriever, started, script } = setUp({ isComplete: true, records: [secretRecord] }, 30_000);
    script.failure = away;
    const onWaiting = () => delete script.failure;
    const { file, located } = await retriever.retrieve(ID, { onWaiting }, signal);
    expect([file?.id, located?.record, started]).toEqual([ID, record, []]);
  });

  test('is not waited for by who can do without it, nor when it has answered', async () => {
    const { retriever, started, script } = setUp(undefined, 30_000);
    script.failure = away;
    await retriever.retrieve(ID, { onBehalf: undefined, onWaiting: () => expect(0).toBe('waited') }, signal);
    expect(started).toHaveLength(1);
    script.failure = new ShoalError('not_found', 'there is no such file');
    await expect(retriever.retrieve('name', {}, signal)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is given up after the time for it, or when nobody wants it any more', async () => {
    const { retriever, script } = setUp(undefined, 1);
    script.failure = away;
    await expect(retriever.retrieve('name', {}, signal)).rejects.toMatchObject({ code: 'unavailable' });
    const gone = new AbortController();
    const patient = setUp(undefined, 3_600_000);
    patient.script.failure = away;
    const onWaiting = () => gone.abort(new ShoalError('timeout', 'took too long'));
    const waiting = patient.retriever.retrieve('name', { onWaiting }, gone.signal);
    await expect(waiting).rejects.toMatchObject({ code: 'timeout' });
  });
});
