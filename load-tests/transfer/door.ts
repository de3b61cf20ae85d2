import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { IndexClient } from '../../index-server/client.js';
import { type BenchEnvironment, type BenchPeer, type BenchSwarm, withSwarm } from './environment.js';
import { type FirstByte, measureFirstBytes } from './first-byte.js';
import type { Nginx } from './nginx.js';
import { peerMetric } from './peer-metric.js';
import { servedFolder } from './round.js';
import { measureSmallGets, type SmallGets, type SmallGetsWay } from './small-gets.js';
import { makeRandomFile } from './work-file.js';

/** The small files that are asked for, and over how many connections. */
export const SMALL = { files: 200, bytes: 10_000, connections: 50 } as const;
/** Large files of which the first byte is waited for. */
const LARGE_FILES = 5;
const JOIN_MS = 10_000;
const LOOK_MS = 20;
const INDEX_TIMEOUT_MS = 10_000;

/** What the HTTP door of a peer was found to do. */
export interface DoorFigures {
  /** In the order in which they were measured. */
  readonly smallGets: readonly SmallGets[];
  readonly firstBytes: readonly FirstByte[];
}

/** What is measured, and beside what. */
export interface DoorOptions {
  /** How often small files are asked for in each way, and for how long. */
  readonly rounds: number;
  readonly seconds: number;
  /** Size of a large file. */
  readonly bytes: number;
  readonly nginx: Nginx | undefined;
}

/** Measures many small files from a peer that has them, and the first byte of large ones from one that has nothing. */
export async function measureDoor(bench: BenchEnvironment, options: DoorOptions): Promise<DoorFigures> {
  bench.say(`${SMALL.files} small files over HTTP, again and again`);
  const smallGets = await withSwarm(bench, 1, (swarm) => measureSmall(bench, swarm, options));
  bench.say('the first byte of large files');
  const firstBytes = await withSwarm(bench, 2, async ({ peers }) => {
    const [sender, receiver] = peers as readonly [BenchPeer, BenchPeer];
    return await measureFirstBytes(
      { bench, sender, receiver, nginx: options.nginx },
      { files: LARGE_FILES, bytes: options.bytes },
    );
  });
  return { smallGets, firstBytes };
}

async function measureSmall(
  bench: BenchEnvironment,
  { index, peers }: BenchSwarm,
  { rounds, seconds, nginx }: DoorOptions,
): Promise<readonly SmallGets[]> {
  const peer = peers[0] as BenchPeer;
  const names = Array.from({ length: SMALL.files }, (_, i) => `small-${i}.bin`);
  try {
    await untilJoined(peer, bench.signal);
    for (const name of names) await publishSmall(bench, peer, name);
    const session = await newSession(index.url, bench.signal);
    const { bytes, connections } = SMALL;
    const ours = {
      load: { url: peer.url, paths: names.map((name) => `/files/${name}`), bytes, connections },
      pids: { server: peer.pid, index: index.pid },
    };
    const ways: SmallGetsWay[] = [
      { ...ours, title: 'a peer, from its own loopback', load: { ...ours.load, headers: {} } },
      {
        ...ours,
        title: 'a peer, with a session',
        load: { ...ours.load, headers: { Authorization: `Bearer ${session}` } },
      },
    ];
    if (nginx !== undefined) ways.unshift(nginxWay(nginx, names));
    return await measureSmallGets(bench, ways, { rounds, seconds });
  } finally {
    for (const name of names) await rm(join(servedFolder(bench), name), { force: true });
  }
}

function nginxWay({ url, pid }: Nginx, names: readonly string[]): SmallGetsWay {
  const { bytes, connections } = SMALL;
  const paths = names.map((name) => `/${name}`);
  return { title: 'nginx (sendfile)', load: { url, paths, bytes, connections, headers: {} }, pids: { server: pid } };
}

/** A peer is ready before it has joined, and publishes nothing until then. */
async function untilJoined(peer: BenchPeer, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + JOIN_MS;
  while ((await peerMetric(peer, 'shoal_peer_index_reachable', signal)) === 0) {
    if (performance.now() > deadline) throw new Error(`${peer.name} did not join`);
    await wait(LOOK_MS);
  }
}

/** Makes a file where nginx finds it, and publishes the same bytes under the same name. */
async function publishSmall(bench: BenchEnvironment, peer: BenchPeer, name: string): Promise<void> {
  const path = join(servedFolder(bench), name);
  await makeRandomFile(path, SMALL.bytes, bench.signal);
  const body = await readFile(path);
  const answer = await fetch(`${peer.url}/files/${name}`, { method: 'PUT', body, signal: bench.signal });
  if (answer.status !== 201) throw new Error(`PUT of ${name}: ${answer.status} ${await answer.text()}`);
}

/** A session of a user who is nobody in particular. */
async function newSession(indexUrl: string, signal: AbortSignal): Promise<string> {
  const client = new IndexClient({}, { baseUrl: indexUrl, timeoutMs: INDEX_TIMEOUT_MS });
  const { token } = await client.register(undefined, { username: 'reader', password: 'only for the bench' }, signal);
  return token;
}
