import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EnvReader } from '../common/env.js';
import { LOG_LEVELS } from '../common/log.js';
import { isLoopback } from '../common/loopback.js';
import { LIMITS } from './api/values.js';

/** Settings of the index server. Times are in milliseconds. */
export interface IndexConfig {
  /** 0 lets the system choose. */
  readonly port: number;
  readonly listenAddress: string;
  /** `embedded:PATH` or `mongodb://...`. */
  readonly store: string;
  readonly signingKeyFile: string;
  /** What peers must show to join; undefined admits peers on loopback only. */
  readonly joinSecret: string | undefined;
  readonly sessionMs: number;
  /** How many versions of a name are kept, the current one included. */
  readonly keepVersions: number;
  /** Lease of a peer while there are at most 1,000. */
  readonly leaseMs: number;
  /** How long a peer may be away before its files are copied to others; a restart should fit in. */
  readonly repairAfterMs: number;
  /** The headless Service of the peers, whose pods are watched; undefined leaves it to the leases. */
  readonly podWatch: { readonly service: string; readonly namespace: string | undefined } | undefined;
  /** The StatefulSet of the peers, which tells whether a pod comes back; undefined leaves that open. */
  readonly peerSet: { readonly statefulSet: string; readonly namespace: string | undefined } | undefined;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

/** Reads the environment of the index server; throws one `invalid` that lists everything wrong with it. */
export function readConfig(env: NodeJS.ProcessEnv): IndexConfig {
  const reader = new EnvReader(env);
  const listenAddress = reader.string('SHOAL_LISTEN_ADDRESS', '127.0.0.1');
  const store = readStore(reader);
  const config: IndexConfig = {
    port: reader.port('SHOAL_INDEX_PORT', 5000),
    listenAddress,
    store,
    signingKeyFile: readSigningKeyFile(reader, store),
    joinSecret: readJoinSecret(reader, listenAddress),
    sessionMs: reader.int('SHOAL_SESSION_HOURS', { fallback: 24, min: 1, max: 8760 }) * 3_600_000,
    keepVersions: reader.int('SHOAL_KEEP_VERSIONS', { fallback: 10, min: 1, max: LIMITS.versions }),
    leaseMs: reader.int('SHOAL_LEASE_SECONDS', { fallback: 10, min: 1, max: 3600 }) * 1000,
    repairAfterMs: reader.int('SHOAL_REPAIR_AFTER_SECONDS', { fallback: 60, min: 0, max: 86_400 }) * 1000,
    podWatch: readPodWatch(reader),
    peerSet: readPeerSet(reader),
    logLevel: reader.oneOf('SHOAL_LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  reader.finish();
  return Object.freeze(config);
}

const EMBEDDED = 'embedded:';

function readStore(reader: EnvReader): string {
  const store = reader.string('SHOAL_STORE', 'embedded:./data/index/catalog.db');
  const isEmbedded = store.startsWith(EMBEDDED) && store.length > EMBEDDED.length;
  if (!isEmbedded && !/^mongodb(\+srv)?:\/\/./.test(store)) {
    // The value may hold a password, so it is not repeated.
    reader.problem('SHOAL_STORE is neither embedded:PATH nor mongodb://...');
  }
  return store;
}

function readSigningKeyFile(reader: EnvReader, store: string): string {
  const path = reader.optional('SHOAL_SIGNING_KEY_FILE');
  if (path !== undefined) return path;
  if (store.startsWith(EMBEDDED)) return join(dirname(store.slice(EMBEDDED.length)), 'signing-key.pem');
  reader.problem(
    'SHOAL_SIGNING_KEY_FILE is not set (the key never lies in the store, and all servers of it share one)',
  );
  return '';
}

function readJoinSecret(reader: EnvReader, listenAddress: string): string | undefined {
  const path = reader.optional('SHOAL_JOIN_SECRET_FILE');
  if (path === undefined) {
    if (!isLoopback(listenAddress)) {
      reader.problem(
        `SHOAL_LISTEN_ADDRESS is ${listenAddress}, which others can reach, but SHOAL_JOIN_SECRET_FILE is not set`,
      );
    }
    return undefined;
  }
  const secret = readText(reader, path);
  if (secret !== undefined && !/^[\x21-\x7e]{16,1024}$/.test(secret)) {
    reader.problem(`SHOAL_JOIN_SECRET_FILE: ${path} does not hold 16 to 1024 printable characters without spaces`);
  }
  return secret;
}

function readText(reader: EnvReader, path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    reader.problem(`SHOAL_JOIN_SECRET_FILE: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

function readPodWatch(reader: EnvReader): IndexConfig['podWatch'] {
  const service = readLabel(reader, 'SHOAL_PEER_SERVICE');
  const namespace = readLabel(reader, 'SHOAL_NAMESPACE');
  return service === undefined ? undefined : { service, namespace: namespace ?? ownNamespace() };
}

function readPeerSet(reader: EnvReader): IndexConfig['peerSet'] {
  const statefulSet = readLabel(reader, 'SHOAL_PEER_STATEFUL_SET');
  const namespace = reader.optional('SHOAL_NAMESPACE');
  return statefulSet === undefined ? undefined : { statefulSet, namespace: namespace ?? ownNamespace() };
}

/** A name of Kubernetes that is one DNS label. */
function readLabel(reader: EnvReader, name: string): string | undefined {
  const value = reader.optional(name);
  if (value === undefined || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) return value;
  reader.problem(`${name} is '${value}', not a name in Kubernetes such as shoal-peer`);
  return undefined;
}

/** That of the ServiceAccount; undefined where none is mounted, which the watch then tells. */
function ownNamespace(): string | undefined {
  try {
    return readFileSync(NAMESPACE_FILE, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
