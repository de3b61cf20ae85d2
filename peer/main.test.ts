import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startIndex, startPeer, type TestIndex, type TestPeer } from './testing/harness.js';
import { PeerUser } from './testing/peer-user.js';
import { waitFor } from './testing/wait-for.js';

/* The daemon as a process of its own, with signals as the system sends them. Runs what was built. */

const CLI = new URL('../dist/peer/cli.js', import.meta.url).pathname;

let dir: string;
let index: TestIndex;
let other: TestPeer;
let child: ChildProcess | undefined;
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

/** A person at the child's socket, once it is in the swarm with the other peer. */
async function user(): Promise<PeerUser> {
  return waitFor(
    'the child is live',
    async () => {
      const at = await PeerUser.at(join(dir, 'control.sock'));
      const { state, livePeers } = await at.client.call('Status', {});
      if (state === 'live' && livePeers === 2) return at;
      at.close();
      return undefined;
    },
    20_000,
  );
}

const exitOf = async (process: ChildProcess) => (await once(process, 'exit')) as [number | null, string | null];

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
  const { requests } = at.client.put();
  requests.on('error', () => undefined);
  requests.write({ start: { name: 'endless' } });
  await once(requests, 'data');
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
  const { requests } = at.client.put();
  requests.on('error', () => undefined);
  requests.write({ start: { name: 'endless' } });
  await once(requests, 'data');
  const exit = exitOf(process);
  const begin = performance.now();
  process.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  expect(performance.now() - begin).toBeGreaterThan(900);
  expect(performance.now() - begin).toBeLessThan(10_000);
  at.close();
}, 60_000);

test('SIGKILL in the middle of a get costs nothing that had come', async () => {
  const bytes = randomBytes(80_000_000);
  const { file } = await other.user.put(bytes, { name: 'large' });
  const id = file?.id ?? '';
  const first = run();
  const at = await user();
  let gotBytes = 0;
  const get = at.get(id, {
    onEvent: ({ data }) => {
      gotBytes += data?.length ?? 0;
      if (gotBytes > bytes.length / 2) first.kill('SIGKILL');
    },
  });
  await expect(get).rejects.toMatchObject({ code: 'unavailable' });
  at.close();
  run();
  const again = await user();
  const { data, done } = await again.get(id);
  expect(data.equals(bytes)).toBe(true);
  expect(done.receivedBytes).toBeLessThan(bytes.length * 0.6);
  again.close();
}, 120_000);

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
