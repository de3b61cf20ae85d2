import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { SMALL_FILE_BYTES } from './small-files.js';
import { runCommand } from './testing/cli-harness.js';
import { startSwarm, type TestPeer } from './testing/harness.js';
import type { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';

/* Many files through two peers: by commands as a person types them, and call by call. */

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-many-'));
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
  await rm(folder, { recursive: true });
}, 30_000);

const at = (peer: TestPeer, argv: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runCommand(argv, { cwd: folder, env: { SHOAL_SOCKET: peer.config.socketPath, ...env } });

async function collected<E>(
  call: { readonly requests: Writable; readonly events: AsyncIterable<E> },
  requests: object[],
) {
  for (const request of requests) call.requests.write(request);
  call.requests.end();
  const events: E[] = [];
  for await (const event of call.events) events.push(event);
  return events;
}

test('a folder comes out on another peer as it was', async () => {
  const sizes = [0, 1, 10_000, 65_536, 65_537, SMALL_FILE_BYTES, SMALL_FILE_BYTES + 1, 1_500_000];
  const contents = new Map(
    Array.from({ length: 150 }, (_, i) => [
      `d${i % 7}/f${String(i).padStart(3, '0')}`,
      randomBytes(sizes[i % sizes.length] ?? 0),
    ]),
  );
  for (const [path, bytes] of contents) {
    await mkdir(dirname(join(folder, 'set', path)), { recursive: true });
    await writeFile(join(folder, 'set', path), bytes);
  }
  const put = await at(a, ['put', 'set', '--tag', 'kind=set']);
  expect({ exitCode: put.exitCode, ids: put.stdout.trim().split('\n').length }).toEqual({ exitCode: 0, ids: 150 });
  const got = await at(b, ['get', 'set/', '--to', 'copy']);
  expect({ exitCode: got.exitCode, stderr: got.stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining('150 files: ') as string,
  });
  for (const [path, bytes] of contents) {
    expect((await readFile(join(folder, 'copy', path))).equals(bytes)).toBe(true);
  }
}, 60_000);

test('what a user may not read is no part of what a prefix means, and one by one refused', async () => {
  const ann = await a.user.register('ann');
  const bytes = Buffer.from('secret');
  const start = { visibility: 'private', tags: {}, readers: [], noWait: false };
  const [answer] = await collected(ann.client.putMany(), [
    { start },
    { files: [{ number: 7, name: 'mix/secret', data: bytes }] },
  ]);
  expect(answer?.results).toMatchObject([{ number: 7, done: { file: { name: 'mix/secret', owner: 'ann' } } }]);
  const id = answer?.results[0]?.done?.file?.id ?? '';
  expect((await at(b, ['get', 'mix/'])).exitCode).toBe(3);
  const results = await gotMany(b.user, [{ number: 1, ref: id }]);
  expect(results).toMatchObject([{ number: 1, problem: { code: 'not_found' } }]);
  expect(await gotMany(ann, [{ number: 1, ref: id }])).toMatchObject([{ number: 1, file: { data: bytes } }]);
  ann.close();
});

test('a private folder comes to whom it is shared with, by another peer, and to nobody else', async () => {
  const as = (name: string) => ({
    SHOAL_SESSION_FILE: join(folder, `session-${name}`),
    SHOAL_PASSWORD: 'password of it',
  });
  for (const name of ['olga', 'frida', 'eve']) {
    expect((await at(a, ['register', name], as(name))).exitCode).toBe(0);
  }
  const contents = new Map(Array.from({ length: 40 }, (_, i) => [`f${i}`, randomBytes(5_000 + i)]));
  await mkdir(join(folder, 'diary'));
  for (const [name, bytes] of contents) await writeFile(join(folder, 'diary', name), bytes);
  const put = await at(a, ['put', 'diary', '--share', 'frida'], as('olga'));
  const ids = put.stdout.trim().split('\n');
  expect({ exitCode: put.exitCode, ids: ids.length }).toEqual({ exitCode: 0, ids: 40 });

  for (const env of [as('eve'), {}]) {
    expect((await at(b, ['get', 'diary/', '--to', 'stolen'], env)).exitCode).toBe(3);
    expect((await at(b, ['get', ...ids, '--to', '.'], env)).exitCode).toBe(3);
  }
  const shared = await at(b, ['get', 'diary/', '--to', 'lent'], as('frida'));
  expect({ exitCode: shared.exitCode, stderr: shared.stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining('40 files: ') as string,
  });
  for (const [name, bytes] of contents) {
    expect((await readFile(join(folder, 'lent', name))).equals(bytes)).toBe(true);
  }
  // Now they lie at the other peer too, which asks the index about each caller all the same.
  expect((await at(b, ['get', 'diary/', '--to', 'stolen'], as('eve'))).exitCode).toBe(3);
  expect((await at(b, ['get', ...ids, '--to', '.'], as('eve'))).exitCode).toBe(3);
}, 30_000);

async function gotMany(user: PeerUser, files: { number: number; ref: string }[]) {
  return (await collected(user.client.getMany(), [{ files }])).flatMap(({ results }) => results);
}

test('of files that cannot be had, each says why, and the others come', async () => {
  await writeFile(join(folder, 'big'), randomBytes(SMALL_FILE_BYTES + 1));
  await writeFile(join(folder, 'small'), 'small');
  await at(a, ['put', 'big']);
  await at(a, ['put', 'small']);
  const results = await gotMany(b.user, [
    { number: 1, ref: 'big' },
    { number: 2, ref: 'small' },
    { number: 3, ref: 'no such file' },
    { number: 4, ref: '../x' },
  ]);
  const byNumber = Object.fromEntries(
    results.map(({ number, ...result }) => [number, result.problem?.code ?? result.file?.data.toString()]),
  );
  expect(byNumber).toEqual({ 1: 'too_large', 2: 'small', 3: 'not_found', 4: 'invalid' });
});

test('of files that cannot be published, each says why, and the others are', async () => {
  const start = { visibility: '', tags: {}, readers: [], noWait: false };
  const files = [
    { number: 1, name: '../up', data: Buffer.from('x') },
    { number: 2, name: 'too/large', data: Buffer.alloc(SMALL_FILE_BYTES + 1) },
    { number: 3, name: 'fits', data: Buffer.alloc(SMALL_FILE_BYTES) },
    { number: 4, name: 'same/a', data: Buffer.from('same') },
    { number: 5, name: 'same/b', data: Buffer.from('same') },
  ];
  const results = (await collected(a.user.client.putMany(), [{ start, files }])).flatMap(({ results }) => results);
  const byNumber = Object.fromEntries(
    results.map(({ number, ...result }) => [number, result.problem?.code ?? result.done?.file?.name]),
  );
  expect(byNumber).toEqual({ 1: 'invalid', 2: 'too_large', 3: 'fits', 4: 'same/a', 5: 'same/b' });
});

test.each([
  ['without a start', [{ files: [] }]],
  ['with a second start', [{ start: {} }, { start: {} }]],
  ['without anything', []],
])('a put of many %s is refused', async (_what, requests) => {
  await expect(collected(a.user.client.putMany(), requests)).rejects.toMatchObject({ code: 'invalid' });
});

test('nothing is left in the folders of temporary files', async () => {
  for (const { name, config } of [a, b]) {
    // What was fetched is made durable in the background.
    await waitFor(`${name} has no temporary files`, async () => {
      return (await readdir(join(config.dataDir, 'store', 'tmp'))).length === 0;
    });
  }
});
