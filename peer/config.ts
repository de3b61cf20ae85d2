import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EnvReader } from '../common/env.js';
import { LOG_LEVELS } from '../common/log.js';
import { isLoopback } from '../common/loopback.js';
import { addressSchema, LIMITS, peerNameSchema } from '../index-server/api/values.js';
import { HAND_OVER_TIMES, type HandOverTime } from './drain.js';
import type { TlsFiles } from './tls/tls-files.js';

/** Longest path of a Unix socket in bytes: `sun_path` of unix(7), its final zero left out. */
const SOCKET_PATH_BYTES = 107;

/** Everything that can be set about a peer. Paths are absolute, sizes in bytes. */
export interface PeerConfig {
  readonly dataDir: string;
  readonly shareDir: string;
  readonly socketPath: string;
  readonly peerName: string;
  /** host:port that others dial; undefined means the address that the gRPC server turns out to listen on. */
  readonly advertiseAddress: string | undefined;
  readonly listenAddress: string;
  /** 0 lets the system choose. */
  readonly grpcPort: number;
  /** 0 lets the system choose. */
  readonly httpPort: number;
  readonly indexUrl: string;
  readonly joinSecretFile: string | undefined;
  /** Mutual TLS with other peers and all gRPC clients; undefined means none. */
  readonly tls: TlsFiles | undefined;
  /** 0 means no quota. */
  readonly quotaBytes: number;
  /** Free space on the disk that is left alone. */
  readonly reserveBytes: number;
  /** Copies of a file when its publisher does not say. */
  readonly replicas: number;
  readonly isLoginRequired: boolean;
  /** Whether the HTTP door answers programs on the same machine without a token. */
  readonly hasLoopbackAccess: boolean;
  readonly drainSeconds: number;
  /** When to hand over what only this peer has, before it stops. */
  readonly handOver: HandOverTime;
  /** How long that may take. */
  readonly handOverSeconds: number;
  /** How long a get or a put goes on while the index, or every peer that has the file, is away. */
  readonly waitSeconds: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

/** Reads the environment. Throws one `invalid` that names every setting at fault. */
export function readConfig(env: NodeJS.ProcessEnv): PeerConfig {
  const reader = new EnvReader(env);
  const dataDir = resolve(reader.string('SHOAL_DATA_DIR', 'data/peer-1'));
  const listenAddress = reader.string('SHOAL_LISTEN_ADDRESS', '127.0.0.1');
  const config: PeerConfig = Object.freeze({
    dataDir,
    shareDir: resolve(reader.string('SHOAL_SHARE_DIR', join(dataDir, 'share'))),
    socketPath: readSocketPath(reader, dataDir),
    peerName: readPeerName(reader),
    advertiseAddress: readAdvertiseAddress(reader, listenAddress),
    listenAddress,
    grpcPort: reader.port('SHOAL_GRPC_PORT', 4999),
    httpPort: reader.port('SHOAL_HTTP_PORT', 5001),
    indexUrl: reader.url('SHOAL_INDEX_URL', 'http://127.0.0.1:5000'),
    joinSecretFile: reader.optional('SHOAL_JOIN_SECRET_FILE'),
    tls: readTls(reader),
    quotaBytes: reader.bytes('SHOAL_QUOTA_BYTES', 0),
    reserveBytes: reader.bytes('SHOAL_RESERVE_BYTES', 64 * 1024 * 1024),
    replicas: reader.int('SHOAL_REPLICAS', { fallback: 1, min: 1, max: LIMITS.replicas }),
    isLoginRequired: reader.bool('SHOAL_REQUIRE_LOGIN', false),
    hasLoopbackAccess: reader.bool('SHOAL_LOOPBACK_ACCESS', true),
    drainSeconds: reader.int('SHOAL_DRAIN_SECONDS', { fallback: 25, min: 0, max: 3600 }),
    handOver: reader.oneOf('SHOAL_HAND_OVER', HAND_OVER_TIMES, 'never'),
    handOverSeconds: reader.int('SHOAL_HAND_OVER_SECONDS', { fallback: 300, min: 0, max: 86_400 }),
    waitSeconds: reader.int('SHOAL_WAIT_SECONDS', { fallback: 60, min: 0, max: 86_400 }),
    logLevel: reader.oneOf('SHOAL_LOG_LEVEL', LOG_LEVELS, 'info'),
  });
  reader.finish();
  return config;
}

/** host:port, with the brackets that an IPv6 address needs. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function readSocketPath(reader: EnvReader, dataDir: string): string {
  const path = resolve(reader.string('SHOAL_SOCKET', join(dataDir, 'control.sock')));
  // The socket is made under a passing name in the same folder; see control-server.ts.
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(dirname(path)) + '/.xxxxxx/s'.length);
  if (bytes > SOCKET_PATH_BYTES) {
    reader.problem(
      `SHOAL_SOCKET is '${path}', which is longer than the ${SOCKET_PATH_BYTES} bytes that a socket's path may have; ` +
        'name a shorter one, such as /tmp/shoal.sock',
    );
  }
  return path;
}

function readPeerName(reader: EnvReader): string {
  const name = reader.string('SHOAL_PEER_NAME', hostname().toLowerCase());
  if (!peerNameSchema.safeParse(name).success) {
    reader.problem(`SHOAL_PEER_NAME is '${name}', not a DNS name in lower case such as shoal-peer-0`);
  }
  return name;
}

const TLS_SETTINGS = ['SHOAL_TLS_CERT_FILE', 'SHOAL_TLS_KEY_FILE', 'SHOAL_TLS_CA_FILE'] as const;

function readTls(reader: EnvReader): TlsFiles | undefined {
  const [certFile, keyFile, caFile] = TLS_SETTINGS.map((name) => reader.optional(name));
  if (certFile !== undefined && keyFile !== undefined && caFile !== undefined) return { certFile, keyFile, caFile };
  const missing = TLS_SETTINGS.filter((name) => reader.optional(name) === undefined);
  if (missing.length < TLS_SETTINGS.length) {
    const set = TLS_SETTINGS.filter((name) => !missing.includes(name));
    reader.problem(`${missing.join(' and ')} must be set as well as ${set.join(' and ')}: TLS needs all three`);
  }
  return undefined;
}

function readAdvertiseAddress(reader: EnvReader, listenAddress: string): string | undefined {
  const address = reader.optional('SHOAL_ADVERTISE_ADDRESS');
  if (address === undefined) {
    if (!isLoopback(listenAddress)) {
      reader.problem(
        `SHOAL_ADVERTISE_ADDRESS is not set; with SHOAL_LISTEN_ADDRESS ${listenAddress} it must be the host:port ` +
          'at which other peers reach this one',
      );
    }
    return undefined;
  }
  if (!addressSchema.safeParse(address).success) {
    reader.problem(`SHOAL_ADVERTISE_ADDRESS is '${address}', not host:port`);
  }
  return address;
}
