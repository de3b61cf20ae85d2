import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pRetry from 'p-retry';
import { ShoalError, toShoalError } from '../common/errors.js';
import { createExpressServer } from '../common/express-server.js';
import type { Logger } from '../common/log.js';
import { VERSION } from '../common/version.js';
import { Accounts } from './accounts.js';
import { createApp } from './app.js';
import { Authenticator } from './auth.js';
import type { Catalog } from './catalog.js';
import type { IndexConfig } from './config.js';
import { Finding } from './finding.js';
import { HandOver } from './hand-over.js';
import { HolderDirectory } from './holder-directory.js';
import { LoginLimiter } from './login-limiter.js';
import { Membership } from './membership.js';
import { meterCatalog } from './metered-catalog.js';
import { IndexMetrics } from './metrics.js';
import { Orders } from './orders.js';
import { Passwords } from './passwords.js';
import { GONE_KEPT_MS, PeerDirectory } from './peer-directory.js';
import { type PeerPlaces, UnknownPlaces } from './pods/peer-places.js';
import { PodVerdicts } from './pods/pod-verdicts.js';
import { PodWatch, type SliceSource } from './pods/pod-watch.js';
import { Publishing } from './publishing.js';
import { Repair } from './repair.js';
import { Replicator } from './replicator.js';
import { Restoring } from './restoring.js';
import type { Readiness } from './routing.js';
import { SeedFlows } from './seed.js';
import type { Signer } from './signer.js';
import { runEvery } from './upkeep.js';

/** What {@link runIndex} needs from outside. The catalog is not open yet; `random` is from 0 up to, not including, 1. */
export interface IndexDeps {
  readonly catalog: Catalog;
  readonly signer: Signer;
  /** Where the pods of the peers are told; undefined leaves it to the leases. */
  readonly slices?: SliceSource | undefined;
  /** Where it is told whether a pod comes back; undefined where nobody knows. */
  readonly places?: PeerPlaces | undefined;
  readonly log: Logger;
  now(): number;
  random(): number;
}

/** An index server that listens. */
export interface RunningIndex {
  /** Where it can be reached from this machine. */
  readonly url: string;
  /**
   * Resolves when the store is open and requests are served. Rejects when it cannot ever be opened; a store that only
   * does not answer is tried again until `close`.
   */
  readonly ready: Promise<void>;
  /** Not ready, no new connections, requests under way finish within `graceMs`, the store is closed. Idempotent. */
  close(graceMs?: number): Promise<void>;
}

const LOGIN_LIMITS = { perUser: 10, perAddress: 200, windowSeconds: 600 };
const PASSWORDS = { concurrency: 2, queue: 64 };
/** More than there are peers: with fewer, who comes round after all others is always forgotten. */
const CACHED_TOKENS = 65_536;
const DIRECTORY_AGE_MS = 1000;
const REPAIR_BATCH = 200;
const SWEEP_EVERY_MS = 60_000;
const TOMBSTONES_KEPT_MS = 30 * 86_400_000;
const POD_WATCH = { firstRetryMs: 250, lastRetryMs: 30_000, deniedRetryMs: 300_000 };
const CLOSE_GRACE_MS = 10_000;
const ATTEMPTS_PER_LINE = 10;
const IDLE_CHECK_MS = 50;
/** Longer than the idle time of clients and proxies, so that it is they who close a connection, not we under a request. */
const KEEP_ALIVE_MS = 65_000;

/** Starts the index server: listens at once, opens the store, keeps the swarm in order until it is closed. */
export async function runIndex(config: IndexConfig, deps: IndexDeps): Promise<RunningIndex> {
  const { log } = deps;
  const parts = createParts(config, deps);
  const server = createExpressServer(createApp({ ...deps, ...parts, version: VERSION }));
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await listen(server, config);
  const url = urlOf(server);
  log.info({ url }, 'listening');
  const stopping = new AbortController();
  const upkeep: Promise<void>[] = [];
  const ready = openStore(parts, { log, signal: stopping.signal }).then(() => {
    // Closed while it opened.
    if (stopping.signal.aborted) return;
    parts.readiness.isReady = true;
    log.info('ready');
    upkeep.push(...startUpkeep(config, { ...deps, ...parts, signal: stopping.signal }));
  });
  // Told to whoever asks for `ready`, and no reason not to close.
  const opened = ready.catch(() => undefined);
  const close = async (graceMs: number) => {
    Object.assign(parts.readiness, { isReady: false, reason: 'the server is stopping' });
    stopping.abort();
    await closeServer(server, graceMs);
    await opened;
    await Promise.all(upkeep);
    await parts.catalog.close();
    log.info('closed');
  };
  let closed: Promise<void> | undefined;
  return {
    url,
    ready,
    close: (graceMs = CLOSE_GRACE_MS) => {
      closed ??= close(graceMs);
      return closed;
    },
  };
}

type Parts = ReturnType<typeof createParts>;

function createParts(config: IndexConfig, { catalog: plain, signer, places, log, now, random }: IndexDeps) {
  const metrics = new IndexMetrics();
  const catalog = meterCatalog(plain, metrics);
  const base = { catalog, signer, metrics, log, now, random };
  const pods = new PodVerdicts();
  const directory = new PeerDirectory({ ...base, pods }, { maxAgeMs: DIRECTORY_AGE_MS });
  const holders = new HolderDirectory({ ...base, directory });
  const replicator = new Replicator({ ...base, directory });
  const orders = new Orders({ ...base, replicator, holders });
  const passwords = new Passwords(PASSWORDS);
  const accounts = new Accounts({ ...base, passwords, limiter: new LoginLimiter(LOGIN_LIMITS) }, config);
  const finding = new Finding({ ...base, holders });
  const readiness: Readiness = { isReady: false, reason: 'the store is being opened' };
  return {
    ...{ metrics, catalog, pods, directory, passwords, accounts, finding, readiness },
    authenticator: new Authenticator(base, { joinSecret: config.joinSecret, cachedTokens: CACHED_TOKENS }),
    publishing: new Publishing({ ...base, finding, replicator }, config),
    membership: new Membership({ ...base, directory, orders, replicator }, config),
    restoring: new Restoring({ ...base, replicator }),
    handOver: new HandOver({ ...base, directory, replicator, places: places ?? new UnknownPlaces() }),
    repair: new Repair({ ...base, directory, replicator }, { afterMs: config.repairAfterMs, batch: REPAIR_BATCH }),
    seed: new SeedFlows({ ...base, accounts, directory, holders }),
  };
}

async function listen(server: Server, { port, listenAddress }: IndexConfig): Promise<void> {
  server.listen(port, listenAddress);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('unavailable', `cannot listen on ${listenAddress} port ${port}: ${reason}`, {
      cause,
      hint: 'choose another with SHOAL_INDEX_PORT and SHOAL_LISTEN_ADDRESS',
    });
  }
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function openStore(
  { catalog, accounts, readiness }: Parts,
  { log, signal }: { log: Logger; signal: AbortSignal },
): Promise<void> {
  const open = async () => {
    await catalog.open();
    await accounts.createPeerAccount();
  };
  const isAway = (error: unknown) => toShoalError(error).code === 'unavailable';
  let logged = '';
  await pRetry(open, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 500,
    maxTimeout: 5000,
    signal,
    shouldRetry: ({ error }) => isAway(error),
    onFailedAttempt: ({ error, attemptNumber }) => {
      if (!isAway(error)) return;
      readiness.reason = `the store cannot be opened yet: ${error.message}`;
      // Once for each reason, and as a sign of life now and then.
      if (error.message === logged && attemptNumber % ATTEMPTS_PER_LINE !== 0) return;
      logged = error.message;
      log.warn({ error, attempt: attemptNumber }, `${readiness.reason}; trying again`);
    },
  });
}

function startUpkeep(config: IndexConfig, deps: Parts & IndexDeps & { readonly signal: AbortSignal }): Promise<void>[] {
  const { catalog, repair, log, now, signal } = deps;
  const sweep = async () => {
    await catalog.sweep(now(), now() - TOMBSTONES_KEPT_MS);
    const forgotten = await catalog.forgetPeers(now() - GONE_KEPT_MS);
    if (forgotten.length > 0) log.info({ peers: forgotten }, 'forgot peers that were gone for an hour');
  };
  const failed = (error: unknown) => log.error({ error }, 'upkeep failed; it runs again');
  return [
    runEvery(() => repair.run(), { everyMs: config.leaseMs / 2, signal, failed }),
    runEvery(sweep, { everyMs: SWEEP_EVERY_MS, signal, failed }),
    ...(deps.slices === undefined ? [] : [watchPods(deps.slices, deps)]),
  ];
}

function watchPods(
  source: SliceSource,
  { pods, directory, metrics, log, random, signal }: Parts & IndexDeps & { readonly signal: AbortSignal },
): Promise<void> {
  const onChange = () => {
    // What could not be read now is looked up when the peers are read next.
    directory.podsChanged().catch((error: unknown) => log.debug({ error }, 'the peers could not be read'));
  };
  const deps = { source, verdicts: pods, onChange, metrics, log, now: () => performance.now(), random };
  return new PodWatch(deps, POD_WATCH).run(signal);
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // Connections whose request ends from now on stay open, idle, for as long as keep-alive goes.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const limit = setTimeout(() => server.closeAllConnections(), graceMs);
  try {
    await closed;
  } finally {
    clearInterval(idle);
    clearTimeout(limit);
  }
}
