import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pRetry from 'p-retry';
import { abortError, ShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import { VERSION } from '../common/version.js';
import { IndexClient } from '../index-server/client.js';
import { Announcer } from './announcer.js';
import { ChunkStore } from './chunk-store.js';
import { hostPort, type PeerConfig } from './config.js';
import { accountHandlers } from './control/accounts.js';
import { CallEdge } from './control/call.js';
import { drainHandlers } from './control/drain.js';
import { fileHandlers } from './control/files.js';
import { getHandlers } from './control/get.js';
import { manyHandlers } from './control/many.js';
import { peerHandlers } from './control/peers.js';
import { putHandlers } from './control/put.js';
import { verifyHandlers } from './control/verify.js';
import { ControlServer, checkSocketFree } from './control-server.js';
import { Doctor } from './doctor.js';
import { Drain } from './drain.js';
import { HandOver } from './hand-over.js';
import { Hasher } from './hasher.js';
import { createHttpDoor } from './http/app.js';
import { createDoorServer } from './http/body-intake.js';
import { SeedSessions } from './http/seed-sessions.js';
import { ShareFolder } from './http/share-folder.js';
import { IndexWait } from './index-wait.js';
import { MembershipMemory } from './membership-memory.js';
import { PeerMetrics } from './metrics.js';
import { meteredIndex } from './observers.js';
import { OrderRunner } from './orders.js';
import { Publisher } from './publish.js';
import { Readiness } from './readiness.js';
import { Removals } from './removals.js';
import { Retriever } from './retrieve.js';
import { SwarmMembership } from './swarm-membership.js';
import { TicketVerifier } from './tickets.js';
import { TlsIdentity } from './tls/tls-identity.js';
import { Tombstones } from './tombstones.js';
import { createFetcher, createRemotePeers, createSmallFetcher, createTransferServer } from './transfers.js';
import { WorkGate } from './work-gate.js';

/*
 * The whole peer: builds every part, opens the three doors (gRPC for peers, HTTP for programs, the socket for the
 * command line), joins the swarm, and takes it all down in reverse.
 */

const INDEX_TIMEOUT_MS = 10_000;
const WITHDRAW_MS = 2_000;
const GATHER_MS = 100;
const COPIES_AT_ONCE = 2;
const HASH_THREADS = 2;
const CLOCK_TOLERANCE_SECONDS = 30;
const DOCTOR_MS = 5_000;
const HTTP_IDLE_MS = 60_000;
/** How often the TLS files are looked at; Kubernetes itself takes about as long to bring what is new to a pod. */
const TLS_RELOAD_MS = 60_000;
/** Limits of a hand-over: see drain.ts. */
const HAND_OVER_LIMITS = { stuckMs: 10_000, stuckLeavingMs: 3_000, waitLeavingMs: 5_000 };
/** How long a process that ends may go on using the store. */
const STORE_WAIT_MS = 60_000;
const STORE_RETRY_MS = 200;

/** A peer that runs. */
export interface Daemon {
  /** Where other peers dial it, host:port. */
  readonly address: string;
  readonly httpPort: number;
  /**
   * Leaves as a program does that is told to stop: hands over for at most `handOverMs` if it does not come back, and then
   * as {@link stop}.
   */
  leave(how: { readonly graceMs: number; readonly handOverMs: number }): Promise<void>;
  /**
   * Leaves the swarm and closes everything. Streams under way may finish for `graceMs`. Without `withdraw` nobody is
   * told, as if the machine had failed.
   */
  stop(how: { readonly graceMs: number; readonly withdraw: boolean }): Promise<void>;
}

/**
 * Starts a peer. Resolves when its doors are open; joining goes on by itself, because the index may come later. Throws
 * `conflict` when another one runs on the same folder, what `signal` says when it fires while the folder is not free
 * yet, and what else keeps it from starting.
 */
export async function startDaemon(
  config: PeerConfig,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<Daemon> {
  const { log } = deps;
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
  await checkSocketFree(config.socketPath);
  const files = config.tls;
  const tls = files && (await TlsIdentity.open({ log }, { files, reloadMs: TLS_RELOAD_MS }));
  const parts = buildParts(config, { log, tls });
  const doors = buildDoors(config, parts, log);
  try {
    // Probes are answered from here on: a large store takes its time.
    const httpPort = await listenHttp(doors.http, config);
    await openStore(parts.store, deps);
    await Promise.all([
      parts.membership.recall(),
      parts.tombstones.open(),
      doors.sessions.open(),
      doors.share.prepare(),
    ]);
    const grpcPort = await doors.transfers.listen(config.listenAddress, config.grpcPort);
    parts.identity.address = config.advertiseAddress ?? hostPort(config.listenAddress, grpcPort);
    await doors.control.listen(config.socketPath);
    parts.readiness.phase = 'open';
    start(parts);
    log.info({ peer: config.peerName, address: parts.identity.address, httpPort }, 'listening');
    return {
      ...{ address: parts.identity.address, httpPort },
      leave: ({ graceMs, handOverMs }) => leave(parts, doors, { graceMs, handOverMs }),
      stop: (how) => stop(parts, doors, { ...how, leftBehind: 0 }),
    };
  } catch (error) {
    await stop(parts, doors, { graceMs: 0, withdraw: false, leftBehind: 0 });
    throw error;
  }
}

/**
 * When a pod is deleted by force, the next one starts beside the process that still ends, on the same volume. So a store
 * that is in use is waited for; two peers that are meant to run side by side are told apart by their sockets before.
 */
async function openStore(
  store: ChunkStore,
  { log, signal }: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const isInUse = (error: unknown) => error instanceof ShoalError && error.code === 'conflict';
  try {
    await pRetry(() => store.open(), {
      retries: Number.POSITIVE_INFINITY,
      maxRetryTime: STORE_WAIT_MS,
      minTimeout: STORE_RETRY_MS,
      factor: 1,
      signal,
      shouldRetry: ({ error }) => isInUse(error),
      onFailedAttempt: ({ error, attemptNumber }) => {
        if (isInUse(error) && attemptNumber === 1)
          log.warn({ error }, 'waiting for another process to leave the store');
      },
    });
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  }
}

type Parts = ReturnType<typeof buildParts>;
type Doors = ReturnType<typeof buildDoors>;

function buildParts(config: PeerConfig, { log, tls }: { readonly log: Logger; readonly tls: TlsIdentity | undefined }) {
  const metrics = new PeerMetrics();
  const hasher = new Hasher({ threads: HASH_THREADS });
  const store = new ChunkStore(
    { log, hasher },
    { dir: join(config.dataDir, 'store'), quotaBytes: config.quotaBytes, reserveBytes: config.reserveBytes },
  );
  const index = meteredIndex(new IndexClient({}, { baseUrl: config.indexUrl, timeoutMs: INDEX_TIMEOUT_MS }), metrics);
  const verifier = new TicketVerifier({ clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS });
  // The address is known when the port is.
  const identity = {
    peerName: config.peerName,
    address: '',
    incarnation: randomUUID(),
    version: VERSION,
    withdrawMs: WITHDRAW_MS,
  };
  const memory = new MembershipMemory({ log }, { path: join(config.dataDir, 'swarm.json') });
  const clock = { now: Date.now, random: Math.random };
  const load = () => {
    const { files, usedBytes: bytesUsed, freeBytes: bytesFree } = store.usage();
    return { files, bytesUsed, bytesFree };
  };
  const joinSecret = () => readJoinSecret(config.joinSecretFile);
  const membership = new SwarmMembership(
    { index, memory, verifier, load, joinSecret, metrics, log, ...clock },
    identity,
  );
  const waitMs = config.waitSeconds * 1000;
  const wait = new IndexWait({ log }, { waitMs });
  const gate = new WorkGate();
  const shared = { store, index, membership, verifier, metrics, log, wait, gate };
  const { peerService, peers, exchanges, buffers } = createRemotePeers(tls);
  const removals = new Removals({ store, ...clock });
  const tombstones = new Tombstones({ ...shared, ...clock }, { dir: config.dataDir });
  const announcer = new Announcer({ ...shared, removals, tombstones, ...clock }, { gatherMs: GATHER_MS });
  const isReplicating = (id: string) => orders.isReplicating(id);
  const fetcher = createFetcher(shared, { exchanges, isReplicating }, { awayMs: waitMs });
  const orders = new OrderRunner(
    { ...shared, fetcher, removals, tombstones, announcer, ...clock },
    { concurrency: COPIES_AT_ONCE },
  );
  const publisher = new Publisher(
    { ...shared, peers, removals, announcer, ...clock },
    { defaultReplicas: config.replicas },
  );
  const smallFetcher = createSmallFetcher(shared, { peers });
  const retriever = new Retriever({ ...shared, fetcher, smallFetcher });
  const readiness = new Readiness({ membership });
  const handOver = new HandOver({ ...shared, ...clock, delay: (ms, signal) => delay(ms, undefined, { signal }) });
  const drain = new Drain({ ...shared, handOver }, { when: config.handOver, ...HAND_OVER_LIMITS });
  return {
    ...{ metrics, hasher, store, index, verifier, identity, membership, peerService, peers, exchanges, buffers, tls },
    ...{ removals, tombstones, announcer, fetcher, orders, publisher, retriever, readiness, gate, drain },
  };
}

function buildDoors(config: PeerConfig, parts: Parts, log: Logger) {
  const { membership, metrics, index, peers, store, tls } = parts;
  const edge = new CallEdge({ metrics, log }, { isLoginRequired: config.isLoginRequired });
  const doctor = new Doctor(
    { index, membership, peers, store, tls, fetch, now: Date.now, random: Math.random },
    { ...config, version: VERSION, timeoutMs: DOCTOR_MS },
  );
  const handlers = {
    ...getHandlers(edge, parts),
    ...putHandlers(edge, parts),
    ...manyHandlers(edge, parts),
    ...verifyHandlers(edge, parts),
    ...drainHandlers(edge, parts),
    ...fileHandlers(edge, parts),
    ...accountHandlers(edge, parts),
    ...peerHandlers(edge, { ...parts, doctor }, config),
  };
  const sessions = new SeedSessions({ log, now: Date.now }, { path: join(config.dataDir, 'seed-sessions.json') });
  const share = new ShareFolder({ dir: config.shareDir });
  const http = createDoorServer(
    createHttpDoor(
      { ...parts, log, sessions, share },
      { loopbackAccess: config.hasLoopbackAccess, requireLogin: config.isLoginRequired, idleMs: HTTP_IDLE_MS },
    ),
  );
  const transfers = createTransferServer({ ...parts, log }, { ...parts, identity: tls });
  return { transfers, control: new ControlServer({ ...parts, handlers, log }), http, sessions, share };
}

/** Sets everything going that works by itself. */
function start(parts: Parts): void {
  const { metrics, store, membership, announcer, orders, publisher, fetcher, gate, drain, tombstones, tls } = parts;
  metrics.watch({
    usage: () => store.usage(),
    isIndexReachable: () => membership.isIndexReachable,
    isDraining: () => !gate.isOpen,
    filesToHandOver: () => drain.filesLeft,
    livePeers: () => membership.livePeerCount,
    activeFetches: () => fetcher.active.length,
    certificateExpiresAtMs: () => tls?.expiresAtMs,
  });
  announcer.start();
  announcer.onAnnounced(() => orders.announced());
  membership.listen({
    joined: ({ storeId }) => {
      tombstones.joined(storeId);
      announcer.announceAll();
    },
    answered: (answer, sentAtMs) => {
      if (answer.announceAll) announcer.announceAll(sentAtMs);
      orders.take(answer.orders, sentAtMs);
      publisher.settle();
      tombstones.settle();
    },
  });
  membership.start();
}

/** Takes no more work, hands over if this is the last time, and stops. */
async function leave(
  parts: Parts,
  doors: Doors,
  { graceMs, handOverMs }: { readonly graceMs: number; readonly handOverMs: number },
): Promise<void> {
  parts.readiness.phase = 'leaving';
  const leftBehind = await parts.drain.beforeLeaving(handOverMs);
  await stop(parts, doors, { graceMs, withdraw: true, leftBehind });
}

/** Not ready; health says so; copies are given up; the index is told; streams finish; everything closes in reverse. */
async function stop(
  parts: Parts,
  doors: Doors,
  how: { readonly graceMs: number; readonly withdraw: boolean; readonly leftBehind: number },
): Promise<void> {
  const { graceMs, withdraw, leftBehind } = how;
  parts.readiness.phase = 'leaving';
  parts.gate.close();
  // What is fetched for the swarm goes on elsewhere, or here next time.
  const givenUp = parts.orders.stop();
  const drained = [doors.transfers.drain(graceMs), doors.control.close(graceMs), closeHttp(doors.http, graceMs)];
  await (withdraw ? parts.membership.stop(leftBehind) : parts.membership.abandon());
  await Promise.all(drained);
  await Promise.all([givenUp, parts.announcer.stop(), parts.publisher.stop(), parts.tombstones.stop()]);
  await parts.fetcher.stop();
  parts.exchanges.close();
  parts.peers.close();
  parts.tls?.close();
  await parts.store.close();
  await parts.hasher.close();
  parts.metrics.close();
}

async function listenHttp(server: Server, { listenAddress, httpPort }: PeerConfig): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = hostPort(listenAddress, httpPort);
      reject(new ShoalError('unavailable', `cannot listen for HTTP on ${where}: ${cause.message}`, { cause }));
    });
    server.listen(httpPort, listenAddress, resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function closeHttp(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
  clearTimeout(timer);
}

async function readJoinSecret(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new ShoalError('invalid', `cannot read the join secret ${path}`, {
      cause,
      hint: 'SHOAL_JOIN_SECRET_FILE must name a file that the peer may read',
    });
  }
}
