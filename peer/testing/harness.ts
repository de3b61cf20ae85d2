import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, type Logger } from '../../common/log.js';
import { readConfig as readIndexConfig } from '../../index-server/config.js';
import { openCatalog } from '../../index-server/open-catalog.js';
import type { PeerPlaces } from '../../index-server/pods/peer-places.js';
import { type RunningIndex, runIndex } from '../../index-server/server.js';
import { Signer } from '../../index-server/signer.js';
import { type PeerConfig, readConfig } from '../config.js';
import { type Daemon, startDaemon } from '../daemon.js';
import { PeerUser } from './peer-user.js';
import { waitFor } from './wait-for.js';

/*
 * A whole swarm in one process: a real index on the embedded store and real daemons, on loopback, ports chosen by the
 * system, each in a folder of its own that goes with it. Leases last two seconds, so heartbeats come often.
 */

/** Set SHOAL_TEST_LOG to a level to see what the programs log. */
const level = (process.env['SHOAL_TEST_LOG'] ?? 'silent') as 'silent';

/** An index that runs, or ran. */
export interface TestIndex {
  readonly url: string;
  /** Stops answering; what it stored stays. */
  stop(): Promise<void>;
  /** Starts again where it was, with what it stored. */
  start(): Promise<void>;
  /** Starts again where it was, with its key and nothing else. */
  wipe(): Promise<void>;
  /** Stops for good and removes its folder. */
  remove(): Promise<void>;
}

/** A peer that runs, or ran. */
export interface TestPeer {
  readonly name: string;
  readonly config: PeerConfig;
  /** Of the running daemon. */
  readonly daemon: Daemon;
  /** The peer's own account at its control socket. */
  readonly user: PeerUser;
  /** `http://127.0.0.1:PORT` of the HTTP door. */
  readonly url: string;
  /** Leaves in good order. */
  stop(): Promise<void>;
  /** Leaves as when it is told to stop by the system. */
  leave(): Promise<void>;
  /** Ends without a word to anyone. */
  kill(): Promise<void>;
  /** Starts again on the same folder, and waits until it is in the swarm unless told not to. */
  start(options?: { readonly isIndexAway?: boolean }): Promise<void>;
  /** Stops for good and removes its folder. */
  remove(): Promise<void>;
}

/** Starts an index. `env` sets what is not the default of these tests; `places` tells which peers come back. */
export async function startIndex(env: NodeJS.ProcessEnv = {}, places?: PeerPlaces): Promise<TestIndex> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-index-'));
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = await Signer.fromPem(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const log = createLogger({ name: 'index', level });
  let port = '0';
  let running: RunningIndex | undefined;
  const index = {
    url: '',
    async start() {
      const config = readIndexConfig({
        SHOAL_INDEX_PORT: port,
        SHOAL_STORE: `embedded:${join(dir, 'catalog.db')}`,
        SHOAL_LEASE_SECONDS: '2',
        ...env,
      });
      const catalog = await openCatalog(config.store);
      running = await runIndex(config, { catalog, signer, places, log, now: Date.now, random: Math.random });
      await running.ready;
      index.url = running.url;
      port = new URL(running.url).port;
    },
    async stop() {
      await running?.close(0);
      running = undefined;
    },
    async wipe() {
      await index.stop();
      await Promise.all((await readdir(dir)).map((name) => rm(join(dir, name), { recursive: true })));
      await index.start();
    },
    async remove() {
      await index.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
  await index.start();
  return index;
}

/**
 * Starts a peer of that name and waits until it is in the swarm unless told not to. `env` sets what is not the default of
 * these tests.
 */
export async function startPeer(
  index: TestIndex,
  name: string,
  env: NodeJS.ProcessEnv = {},
  options: { readonly isIndexAway?: boolean } = {},
): Promise<TestPeer> {
  const dir = await mkdtemp(join(tmpdir(), `shoal-${name}-`));
  const log: Logger = createLogger({ name, level });
  const ports = { grpc: '0', http: '0' };
  const config = () =>
    readConfig({
      SHOAL_DATA_DIR: dir,
      SHOAL_PEER_NAME: name,
      SHOAL_INDEX_URL: index.url,
      SHOAL_GRPC_PORT: ports.grpc,
      SHOAL_HTTP_PORT: ports.http,
      SHOAL_RESERVE_BYTES: '0',
      SHOAL_WAIT_SECONDS: '1',
      ...env,
    });
  let running: { readonly daemon: Daemon; readonly user: PeerUser } | undefined;
  const now = () => {
    if (running === undefined) throw new Error(`${name} does not run`);
    return running;
  };
  const end = async (how: { graceMs: number; withdraw: boolean }) => {
    const { daemon, user } = running ?? {};
    running = undefined;
    user?.close();
    await daemon?.stop(how);
  };
  const peer: TestPeer = {
    name,
    config: config(),
    get daemon() {
      return now().daemon;
    },
    get user() {
      return now().user;
    },
    get url() {
      return `http://127.0.0.1:${now().daemon.httpPort}`;
    },
    async leave() {
      const { daemon, user } = now();
      running = undefined;
      user.close();
      await daemon.leave({ graceMs: 5_000, handOverMs: 30_000 });
    },
    stop: () => end({ graceMs: 5_000, withdraw: true }),
    kill: () => end({ graceMs: 0, withdraw: false }),
    async start({ isIndexAway = false } = {}) {
      const daemon = await startDaemon(config(), { log, signal: new AbortController().signal });
      const user = await PeerUser.at(peer.config.socketPath);
      running = { daemon, user };
      // The next start takes the same ports, as a restarted program does.
      ports.grpc = daemon.address.slice(daemon.address.lastIndexOf(':') + 1);
      ports.http = String(daemon.httpPort);
      if (!isIndexAway) await isLive(peer);
    },
    async remove() {
      await end({ graceMs: 0, withdraw: false });
      await rm(dir, { recursive: true, force: true });
    },
  };
  await peer.start(options);
  return peer;
}

/** Waits until a peer is in the swarm and knows of `livePeers`, itself included. */
export async function isLive(peer: TestPeer, livePeers = 1): Promise<void> {
  await waitFor(`${peer.name} is live among ${livePeers}`, async () => {
    const status = await peer.user.client.call('Status', {});
    return status.state === 'live' && status.livePeers >= livePeers;
  });
}

/** An index and peers `peer-1`, `peer-2`... that all know of each other, and what removes them again. */
export async function startSwarm(
  count: number,
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly index: TestIndex; readonly peers: readonly TestPeer[]; readonly remove: () => Promise<void> }> {
  const index = await startIndex();
  const names = Array.from({ length: count }, (_, i) => `peer-${i + 1}`);
  const peers = await Promise.all(names.map((name) => startPeer(index, name, env)));
  await Promise.all(peers.map((peer) => isLive(peer, count)));
  const remove = async () => {
    await Promise.all(peers.map((peer) => peer.remove()));
    await index.remove();
  };
  return { index, peers, remove };
}
