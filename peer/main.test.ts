import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import type { ShoalError } from '../common/errors.js';
import { lockStore } from './store/store-lock.js';
import { runCommand } from './testing/cli-harness.js';
import { startIndex, startPeer, type TestIndex, type TestPeer } from './testing/harness.js';
import { metricOf } from './testing/metric-of.js';
import { startPeerBehindLink } from './testing/pausing-link.js';
import { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';

/* The daemon as a process of its own, with signals as the system sends them. Runs what was built. */

/** Of files as large as that which is fetched here. */
const CHUNK_BYTES = 64 * 1024;
const CLI = new URL('../dist/peer/cli.js', import.meta.url).pathname;

let dir: string;
let index: TestIndex;
let other: TestPeer;
let child: ChildProcess | undefined;
let nowhere: Nowhere | undefined;
let output = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-main-'));
  index = await startIndex();
  other = await startPeer(index, 'other');
}, 30_000);
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  nowhere?.close();
  await other.remove();
  await index.remove();
  await rm(dir, { recursive: true });
}, 30_000);

function run(env: NodeJS.ProcessEnv = {}): ChildProcess {
  output = '';
  child = spawn(process.execPath, [CLI, 'peer'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      SHOAL_DATA_DIR: dir,
      SHOAL_PEER_NAME: 'child',
      SHOAL_INDEX_URL: index.url,
      SHOAL_GRPC_PORT: '0',
      SHOAL_HTTP_PORT: '0',
      SHOAL_RESERVE_BYTES: '0',
      ...env,
    },
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text.toString()));
  return child;
}

/** A person at the child's socket, once it is in the swarm with so many peers, itself included. */
async function user(peers = 2): Promise<PeerUser> {
  return waitFor(
    'the child is live',
    async () => {
      const at = await PeerUser.at(join(dir, 'control.sock'));
      const { state, livePeers } = await at.client.call('Status', {});
      if (state === 'live' && livePeers === peers) return at;
      at.close();
      return undefined;
    },
    20_000,
  );
}

/** Base URL of the child's HTTP door, as its log tells. */
const httpDoor = () => `http://127.0.0.1:${/"httpPort":(\d+)/.exec(output)?.[1]}`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const exitOf = async (process: ChildProcess) => (await once(process, 'exit')) as [number | null, string | null];

/** An address that is like that of a pod which is gone: whoever dials it hears nothing, not even a refusal. */
class Nowhere {
  readonly address: string;
  readonly #listener: ChildProcess;
  readonly #callers: readonly Socket[];

  private constructor(port: number, listener: ChildProcess, callers: readonly Socket[]) {
    this.address = `127.0.0.1:${port}`;
    this.#listener = listener;
    this.#callers = callers;
  }

  /** A process that has stopped accepts nobody, and when enough wait, the system drops further callers. */
  static async open(): Promise<Nowhere> {
    const program = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      process.stdout.write(String(server.address().port), () => process.kill(process.pid, 'SIGSTOP'));
    })`;
    const listener = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = (await once(listener.stdout as Readable, 'data')) as [Buffer];
    const callers = Array.from({ length: 8 }, () => connect(Number(port), '127.0.0.1').on('error', () => undefined));
    await waitFor(
      'no further caller gets through',
      async () => callers.filter((caller) => caller.connecting).length < 8,
    );
    return new Nowhere(Number(port), listener, callers);
  }

  /** Resolves when the peer has begun to dial. */
  async isDialled(): Promise<void> {
    const ours = new Set(this.#callers.map((caller) => caller.localPort));
    const [, port = ''] = this.address.split(':');
    const [target, synSent] = [Number(port).toString(16).toUpperCase().padStart(4, '0'), '02'];
    await waitFor('the peer dials', async () => {
      const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/));
      return rows.some(([, local = '', remote = '', state]) => {
        return state === synSent && remote.endsWith(`:${target}`) && !ours.has(Number.parseInt(local.slice(-4), 16));
      });
    });
  }

  close(): void {
    for (const caller of this.#callers) caller.destroy();
    this.#listener.kill('SIGKILL');
  }
}

test('SIGTERM makes it leave: the index knows at once, the socket is gone, the exit code is 0', async () => {
  const process = run();
  const at = await user();
  at.close();
  const exit = exitOf(process);
  process.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  const { peers } = await other.user.client.call('ListPeers', {});
  expect(peers.find(({ name }) => name === 'child')?.state).toBe('gone');
  await expect(PeerUser.at(join(dir, 'control.sock'))).rejects.toMatchObject({ code: 'unavailable' });
}, 60_000);

test('a second signal ends it at once, whatever still runs', async () => {
  const process = run({ SHOAL_DRAIN_SECONDS: '600' });
  const at = await user();
  // A put whose bytes never come keeps the first signal waiting.
  const { requests, events } = at.client.put();
  requests.write({ start: { name: 'endless' } });
  await events.next();
  const exit = exitOf(process);
  process.kill('SIGTERM');
  await waitFor('it is leaving', () => output.includes('"leaving"'));
  expect(process.exitCode).toBeNull();
  process.kill('SIGTERM');
  expect(await exit).toEqual([143, null]);
  at.close();
}, 60_000);

test('SHOAL_DRAIN_SECONDS limits how long a stream may keep it', async () => {
  const process = run({ SHOAL_DRAIN_SECONDS: '1' });
  const at = await user();
  const { requests, events } = at.client.put();
  requests.write({ start: { name: 'endless' } });
  await events.next();
  const exit = exitOf(process);
  const begin = performance.now();
  process.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(performance.now() - begin).toBeGreaterThan(900);
  expect(performance.now() - begin).toBeLessThan(10_000);
  at.close();
}, 60_000);

// Whether it has begun to dial is read from /proc.
const testOnLinux = process.platform === 'linux' ? test : test.skip;

testOnLinux(
  'an attempt to reach a peer that is nowhere does not keep it',
  async () => {
    nowhere = await Nowhere.open();
    const process = run({ SHOAL_DRAIN_SECONDS: '1' });
    const at = await user();
    // It goes on saying that it is there.
    const ghost = await startPeer(index, 'ghost', { SHOAL_ADVERTISE_ADDRESS: nowhere.address });
    try {
      const ping = at.client.call('PingPeer', { peer: 'ghost' }).catch(() => undefined);
      await nowhere.isDialled();
      const exit = exitOf(process);
      process.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
      await ping;
      at.close();
    } finally {
      await ghost.remove();
    }
    // The system itself gives such an attempt up after two minutes.
  },
  60_000,
);

test('SIGKILL in the middle of a get costs nothing that had come', async () => {
  const { peer: holder, link } = await startPeerBehindLink(index, 'holder');
  try {
    const bytes = randomBytes(200 * CHUNK_BYTES + 1000);
    const id = (await holder.user.put(bytes, { name: 'large' })).file?.id ?? '';
    link.pauseAfter(80.5 * CHUNK_BYTES);
    const first = run();
    const at = await user(3);
    const cut = at.get(id).then(
      () => 'whole',
      ({ code }: ShoalError) => code,
    );
    await waitFor('the holder pauses', () => link.isPaused, 30_000);
    const held = new Set(link.chunks.splice(0));
    // Some may have come twice.
    expect(held.size).toBeGreaterThan(40);
    const okChunks = () => metricOf({ url: httpDoor() }, 'shoal_peer_chunks_total{result="ok"}');
    await waitFor('all that came is held', async () => (await okChunks()) === held.size);
    const exit = exitOf(first);
    first.kill('SIGKILL');
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect(await cut).toBe('unavailable');
    at.close();

    run();
    const again = await user(3);
    link.resume();
    expect(await again.verify(id)).toMatchObject({ chunks: held.size, damaged: 0 });
    const { data } = await again.get(id);
    expect(data.equals(bytes)).toBe(true);
    expect(link.chunks.filter((chunk) => held.has(chunk))).toEqual([]);
    expect(new Set(link.chunks).size).toBe(201 - held.size);
    again.close();
  } finally {
    await link.close();
    await holder.remove();
  }
}, 120_000);

test('a store that a process is about to leave is waited for', async () => {
  await mkdir(join(dir, 'store'));
  const lock = lockStore(join(dir, 'store/lock'), join(dir, 'store'));
  const port = await freePort();
  run({ SHOAL_HTTP_PORT: String(port) });
  await waitFor('it says that it waits', () => output.includes('used by another process'));
  // It lives, and whoever starts pods must not take it for dead; but nothing can be had of it.
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, (await response.text()).trim()];
  };
  expect(await ask('/livez')).toEqual([200, 'recovering']);
  expect(await ask('/readyz')).toEqual([503, 'recovering the store']);
  expect((await ask('/files/x'))[0]).toBe(503);
  lock.release();
  const at = await user();
  at.close();
  expect(await ask('/livez')).toEqual([200, 'ok']);
  expect(await ask('/readyz')).toEqual([200, 'ok']);
}, 60_000);

test('SIGTERM has a peer without lasting storage hand over what only it has', async () => {
  const process = run({ SHOAL_HAND_OVER: 'always' });
  const at = await user();
  await at.put(randomBytes(100_000), { name: 'sole' });
  at.close();
  const exit = exitOf(process);
  process.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(output).toContain('every file is on another peer too');
  expect((await other.user.get('sole')).done.receivedBytes).toBe(0);
}, 60_000);

test('SHOAL_HAND_OVER_SECONDS limits how long that may keep it', async () => {
  // Nobody has room for the file, but somebody might; and 'nobody' is looked at longer than this.
  const process = run({ SHOAL_HAND_OVER: 'always', SHOAL_HAND_OVER_SECONDS: '1' });
  const at = await user();
  await at.put(randomBytes(100_000), { name: 'sole' });
  at.close();
  await other.stop();
  const exit = exitOf(process);
  process.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(output).toContain('a hand-over did not end');
  expect(output).toContain('"code":"timeout"');
  await other.start();
}, 60_000);

test('a signal ends the wait for a store', async () => {
  await mkdir(join(dir, 'store'));
  const lock = lockStore(join(dir, 'store/lock'), join(dir, 'store'));
  const process = run();
  await waitFor('it says that it waits', () => output.includes('used by another process'));
  const exit = exitOf(process);
  process.kill('SIGTERM');
  expect(await exit).toEqual([130, null]);
  lock.release();
}, 60_000);

test('a wrong environment is told in full, and nothing is started', async () => {
  const [code] = await exitOf(run({ SHOAL_GRPC_PORT: 'many', SHOAL_PEER_NAME: 'Not A Name' }));
  expect(code).toBeGreaterThan(0);
  expect(output).toContain('SHOAL_GRPC_PORT');
  expect(output).toContain('SHOAL_PEER_NAME');
}, 30_000);

test('a port that is taken is named', async () => {
  const { port } = new URL(index.url);
  const [code] = await exitOf(run({ SHOAL_HTTP_PORT: port }));
  expect(code).toBeGreaterThan(0);
  expect(output).toContain(`127.0.0.1:${port}`);
}, 30_000);

test('killed in the middle of a put of many small files, it still has each whose id was told', async () => {
  run();
  (await user()).close();
  const folder = await mkdtemp(join(tmpdir(), 'shoal-many-'));
  const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const hashes = new Set<string>();
  await mkdir(join(folder, 'set'));
  for (let i = 0; i < 800; i += 1) {
    const bytes = randomBytes(3_000 + i);
    hashes.add(hashOf(bytes));
    await writeFile(join(folder, 'set', `f${i}`), bytes);
  }
  let told = '';
  const stdout = new Writable({
    write(text: Buffer, _encoding, done) {
      told += text.toString();
      if (told.split('\n').length > 150) child?.kill('SIGKILL');
      done();
    },
  });
  const socket = { SHOAL_SOCKET: join(dir, 'control.sock'), SHOAL_WAIT_SECONDS: '0' };
  const put = await runCommand(['put', 'set'], {
    cwd: folder,
    env: socket,
    stdout: Object.assign(stdout, { isTTY: false, columns: 80 }),
  });
  expect(put.exitCode).toBe(5);
  const ids = told.trim().split('\n');
  expect(ids.length).toBeGreaterThan(100);
  expect(ids.length).toBeLessThan(800);
  run();
  (await user()).close();
  for (const id of ids) expect(hashes).toContain(hashOf((await other.user.get(id)).data));
  await rm(folder, { recursive: true });
}, 60_000);
