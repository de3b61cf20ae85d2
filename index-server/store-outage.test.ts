import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { createLogger } from '../common/log.js';
import { databaseIn } from './catalog/mongo-store.js';
import { IndexClient } from './client.js';
import { readConfig } from './config.js';
import { catalogIn } from './open-catalog.js';
import { type RunningIndex, runIndex } from './server.js';
import { openSigner } from './signer.js';
import { withDatabase } from './testing/mongodb.js';
import { TcpProxy } from './testing/tcp-proxy.js';
import { eventually, fileBody, TestPeer } from './testing/test-index.js';

/* What an index tells, and does, while its MongoDB cannot be used. */

const FAST = 'serverSelectionTimeoutMS=1000&connectTimeoutMS=5000';
const mongodb = process.env['SHOAL_TEST_MONGODB_URI'];
const describeWithMongodb = mongodb === undefined ? describe.skip : describe;

let folder: string;
let running: RunningIndex | undefined;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-outage-'));
  lines = [];
});
afterEach(async () => {
  await running?.close(0);
  running = undefined;
  await rm(folder, { recursive: true });
});

async function start(store: string): Promise<RunningIndex> {
  running = await runIndex(
    readConfig({ SHOAL_INDEX_PORT: '0', SHOAL_STORE: store, SHOAL_SIGNING_KEY_FILE: 'unused' }),
    {
      catalog: await catalogIn(store),
      signer: await openSigner(join(folder, 'key.pem')),
      log: createLogger({ name: 'index', level: 'info' }, { write: (line) => lines.push(line) }),
      now: Date.now,
      random: Math.random,
    },
  );
  running.ready.catch(() => undefined);
  return running;
}

async function readiness(): Promise<{ readonly status: number; readonly detail?: string }> {
  const response = await fetch(`${running?.url}/readyz`);
  return { ...((await response.json()) as object), status: response.status };
}

const warnings = () => lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40);

test.each([
  ['a port where nobody listens', `mongodb://ann:s3cret@127.0.0.1:1/shoal?${FAST}`, 'ECONNREFUSED'],
  ['a host that does not exist', `mongodb://ann:s3cret@nowhere.invalid/shoal?${FAST}`, 'nowhere.invalid'],
  ['a record that does not exist', `mongodb+srv://ann:s3cret@nowhere.invalid/shoal?${FAST}`, 'nowhere.invalid'],
])(
  'stays up, not ready, with the reason, while its store is %s',
  async (_what, store, reason) => {
    const { url } = await start(store);
    await eventually(async () => warnings().length > 0);
    expect(await readiness()).toMatchObject({
      status: 503,
      code: 'unavailable',
      detail: expect.stringContaining(reason),
    });
    expect(warnings()[0]).toMatchObject({
      msg: expect.stringMatching(new RegExp(`the store cannot be opened yet: .*${reason}`)),
      error: { hint: expect.stringContaining('SHOAL_STORE') },
    });
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    const refused = await fetch(`${url}/api/v1/files`);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'unavailable', detail: expect.stringContaining(reason) });
    expect(lines.join('')).not.toContain('s3cret');
  },
  20_000,
);

test.each([
  'mongodb://ann:s3cr@et@host/shoal',
  'mongodb://ann:s3cret@host:99999/shoal',
  'mongodb://ann:s3cret@host/shoal?tls=perhaps',
])('gives up on what is no address of a MongoDB, and shows no password: %s', async (store) => {
  const { ready } = await start(store);
  const error = await ready.catch((failure: unknown) => failure);
  expect(error).toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('SHOAL_STORE is not the address of a MongoDB'),
    hint: expect.stringContaining('percent-encoded'),
  });
  expect(String(error)).not.toMatch(/s3cret|s3cr@et/);
});

describeWithMongodb('with a MongoDB', () => {
  const server = new URL(mongodb ?? 'mongodb://127.0.0.1');
  const database = `shoal-test-${randomBytes(6).toString('hex')}`;
  const proxy = new TcpProxy({ host: server.hostname, port: Number(server.port || 27017) });
  const through = () => {
    const uri = new URL(withDatabase(mongodb ?? '', database));
    uri.hostname = '127.0.0.1';
    uri.port = String(proxy.port);
    return `${uri}${uri.search === '' ? '?' : '&'}${FAST}`;
  };

  beforeEach(() => proxy.mend());
  afterEach(() => proxy.cut());
  afterAll(async () => {
    const client = new MongoClient(withDatabase(mongodb ?? '', database));
    await client.db(databaseIn(through())).dropDatabase();
    await client.close();
  });

  test('says that it is away, and goes on with all it knew when it is back', async () => {
    const { ready, url } = await start(through());
    await ready;
    const client = new IndexClient({}, { baseUrl: url, timeoutMs: 10_000 });
    const peer = new TestPeer(client, 'p1');
    await peer.join();
    await peer.publish('kept');
    await proxy.cut();
    await eventually(async () => (await readiness()).status === 503);
    expect((await readiness()).detail).toContain('MongoDB does not answer');
    for (const call of [
      () => client.locate(peer.auth, { ref: 'kept' }),
      () => client.list(peer.auth, {}),
      () => client.publish(peer.auth, fileBody('lost')),
      () => peer.beat(),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'unavailable',
        hint: expect.stringContaining('SHOAL_STORE'),
      });
    }
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    await proxy.mend();
    await eventually(async () => (await readiness()).status === 200);
    // The same process of the same peer: nobody has to join again.
    await peer.beat();
    expect((await client.list(peer.auth, {})).files.map(({ name }) => name)).toEqual(['kept']);
    await peer.publish('after');
  }, 30_000);

  test('becomes ready when it comes after the index', async () => {
    const store = through();
    await proxy.cut();
    const { ready } = await start(store);
    await eventually(async () => warnings().length > 0);
    await proxy.mend();
    await ready;
    expect((await readiness()).status).toBe(200);
  }, 30_000);

  test('says that the credentials are refused, and goes on asking', async () => {
    const uri = new URL(through());
    uri.username = 'nobody';
    uri.password = 's3cret';
    await start(`${uri}`);
    await eventually(async () => warnings().length > 0);
    expect((await readiness()).detail).toContain('MongoDB refused the credentials of the index');
    expect(warnings()[0]).toMatchObject({ error: { hint: expect.stringContaining('authSource in SHOAL_STORE') } });
    expect(lines.join('')).not.toContain('s3cret');
  }, 30_000);
});
