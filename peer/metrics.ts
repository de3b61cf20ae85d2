import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ERROR_CODES } from '../common/errors.js';
import { REFUSAL_REASONS } from './tls/refusals.js';

/**
 * How bytes came or went. By gRPC: the exchange of chunks among peers, `Download` and `Upload`, whoever is the client.
 * `http` is GET and PUT of the HTTP door, `put` what the command line publishes.
 */
const BYTE_KINDS = {
  received: ['exchange', 'download', 'upload', 'http', 'put'],
  sent: ['exchange', 'download', 'upload', 'http'],
} as const;
/** Kinds of bytes that do not pass between this peer and another. */
const LOCAL_KINDS: readonly unknown[] = ['http', 'put'];
/** What became of a chunk that arrived. */
const CHUNK_RESULTS = ['ok', 'corrupt', 'duplicate', 'refused'] as const;
/** `ok`, or the code of the error that a call ended with. */
const CALL_CODES = ['ok', ...ERROR_CODES] as const;
/** How a hand-over can end; of other codes a series appears when one does. */
const HAND_OVER_CODES = ['ok', 'unavailable', 'exhausted', 'timeout', 'cancelled'] as const;
/** How a call to the index went: `unavailable` also stands for one that took too long, `error` for a refusal. */
const INDEX_RESULTS = ['ok', 'unavailable', 'cancelled', 'error'] as const;
/** What the index is asked for. */
const INDEX_OPERATIONS = [
  'join',
  'heartbeat',
  'announce',
  'restore',
  'withdraw',
  'hand_over',
  'place',
  'report',
  'peers',
  'publish',
  'list',
  'search',
  'stat',
  'locate',
  'ticket',
  'patch',
  'remove',
  'account',
  'seed',
] as const;
/** Methods of `shoal.peer.v1.PeerService`. */
const PEER_METHODS = ['Exchange', 'Download', 'DownloadMany', 'Upload', 'Replicate', 'GetInfo'] as const;
/** Methods of `shoal.control.v1.ControlService`. */
const CONTROL_METHODS = [
  'Put',
  'Get',
  'PutMany',
  'GetMany',
  'Verify',
  'List',
  'Find',
  'Stat',
  'Remove',
  'Tag',
  'Share',
  'ListPeers',
  'PingPeer',
  'Status',
  'Diagnose',
  'Drain',
  'Register',
  'Login',
  'Logout',
  'WhoAmI',
  'ChangePassword',
] as const;

/** What the index is asked for. */
export type IndexOperation = (typeof INDEX_OPERATIONS)[number];
/** A method of `shoal.control.v1.ControlService`. */
export type ControlMethod = (typeof CONTROL_METHODS)[number];

/** What is read when somebody looks at the metrics, rather than told as it happens. */
export interface MetricSources {
  usage(): {
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly quotaBytes: number;
    readonly files: number;
    readonly partialFiles: number;
    readonly unsettledLogs: number;
  };
  isIndexReachable(): boolean;
  isDraining(): boolean;
  livePeers(): number;
  activeFetches(): number;
  /** Files that only this peer has, while it drains. */
  filesToHandOver(): number;
  /** In milliseconds since 1970; undefined without TLS. */
  certificateExpiresAtMs(): number | undefined;
}

/** How often the event loop is looked at, in milliseconds. */
const LOOP_LOOK_MS = 20;
const PREFIX = 'shoal_peer_';
const ms = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * Every metric of the peer. Labels come from the closed sets above, or are a route's pattern; never a file, user or
 * address. What can be counted stands at 0 from the start.
 */
export class PeerMetrics {
  readonly registry = new Registry();
  readonly #counted = { registers: [this.registry] };
  readonly #loopDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOP_LOOK_MS });
  #sources: MetricSources | undefined;

  readonly receivedBytes = this.#counter('received_bytes_total', 'Bytes received, by how they came', ['kind']);
  readonly sentBytes = this.#counter('sent_bytes_total', 'Bytes sent, by how they went', ['kind']);
  readonly chunks = this.#counter('chunks_total', 'Chunks that others sent, by what became of them', ['result']);
  readonly refusedChunks = this.#counter('refused_chunks_total', 'Chunks that others asked for and did not get', []);
  readonly refusedConnections = this.#counter(
    'refused_connections_total',
    'Connections to the gRPC port that were refused because of TLS, by why',
    ['reason'],
  );
  readonly fetches = this.#counter('fetches_total', 'Fetches that ended, by how', ['code']);
  readonly servingStreams = this.#gauge('serving_streams', 'Streams on which this peer serves others now');
  readonly timeToFirstByte = new Histogram({
    ...this.#counted,
    name: `${PREFIX}time_to_first_byte_seconds`,
    help: 'From the start of a fetch to its first verified chunk',
    buckets: ms,
  });
  readonly fetchSeconds = new Histogram({
    ...this.#counted,
    name: `${PREFIX}fetch_seconds`,
    help: 'How long fetches took that brought a whole file',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800],
  });
  readonly indexCalls = this.#counter('index_calls_total', 'Calls to the index', ['operation', 'result']);
  readonly heartbeats = this.#counter('heartbeats_total', 'Heartbeats sent', ['result']);
  readonly announces = this.#counter('announces_total', 'Announcements sent', ['kind', 'result']);
  readonly handOvers = this.#counter('hand_overs_total', 'Hand-overs that ended, by how; `ok` left nothing behind', [
    'code',
  ]);
  readonly grpcCalls = this.#counter('grpc_calls_total', 'Calls of other peers and clients that ended', [
    'method',
    'code',
  ]);
  readonly controlCalls = this.#counter('control_calls_total', 'Calls of the command line that ended', [
    'method',
    'code',
  ]);
  readonly httpRequests = this.#counter('http_requests_total', 'HTTP requests answered', ['route', 'method', 'code']);
  readonly httpSeconds = new Histogram({
    ...this.#counted,
    name: `${PREFIX}http_request_seconds`,
    help: 'From request to the end of the answer',
    labelNames: ['route'] as const,
    buckets: ms,
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    // Gauges with a counter's name, which promtool refuses.
    for (const kind of ['handles', 'requests', 'resources']) {
      this.registry.removeSingleMetric(`nodejs_active_${kind}_total`);
    }
    this.#readGauges();
    this.#zero();
    this.#loopDelay.enable();
  }

  /** Says where the figures that are read on demand come from. */
  watch(sources: MetricSources): void {
    this.#sources = sources;
  }

  /** Bytes received from and sent to other peers since the start. */
  async traffic(): Promise<{ receivedBytes: number; sentBytes: number }> {
    const [received, sent] = await Promise.all([this.receivedBytes.get(), this.sentBytes.get()]);
    return { receivedBytes: betweenPeers(received.values), sentBytes: betweenPeers(sent.values) };
  }

  /** Fetches and streams under way. */
  async activity(): Promise<{ fetches: number; serving: number }> {
    const serving = await this.servingStreams.get();
    return { fetches: this.#sources?.activeFetches() ?? 0, serving: serving.values[0]?.value ?? 0 };
  }

  /** Stops what measures by itself. */
  close(): void {
    this.#loopDelay.disable();
    this.registry.clear();
  }

  #readGauges(): void {
    this.#gauge('store_used_bytes', 'Bytes used by the store', (from) => from.usage().usedBytes);
    this.#gauge('store_free_bytes', 'Bytes that the store can still take', (from) => from.usage().freeBytes);
    this.#gauge('store_quota_bytes', 'Quota of the store, 0 when there is none', (from) => from.usage().quotaBytes);
    this.#gauge('complete_files', 'Files that are wholly here', (from) => from.usage().files);
    this.#gauge('partial_files', 'Files that are partly here', (from) => from.usage().partialFiles);
    this.#gauge(
      'store_unsettled_logs',
      'Logs of small files that the disk did not let be settled; they are tried again',
      (from) => from.usage().unsettledLogs,
    );
    this.#gauge('active_fetches', 'Fetches under way', (from) => from.activeFetches());
    this.#gauge('live_peers', 'Peers that are live, as the index last told', (from) => from.livePeers());
    this.#gauge('index_reachable', 'Whether the index answered last time', (from) => Number(from.isIndexReachable()));
    this.#gauge('hand_over_files', 'Files that only this peer has, while it drains', (from) => from.filesToHandOver());
    this.#gauge('draining', 'Whether this peer is leaving', (from) => Number(from.isDraining()));
    const expiry = this.#gauge(
      'tls_certificate_expiration_timestamp_seconds',
      'When the certificate of this peer expires, in seconds since 1970; no series without TLS',
      (from) => {
        const atMs = from.certificateExpiresAtMs();
        return atMs === undefined ? undefined : atMs / 1000;
      },
    );
    // Without labels it would begin with a 0, which means 1970 here.
    expiry.remove();
    const delay = this.#loopDelay;
    this.#gauge('event_loop_lag_seconds', 'p99 of the event loop delay since this was last read', () => {
      // What is measured is the time from one look to the next, which is never shorter than the time between looks.
      const lagMs = Number.isNaN(delay.mean) ? 0 : delay.percentile(99) / 1e6 - LOOP_LOOK_MS;
      const seconds = Math.max(0, lagMs) / 1000;
      delay.reset();
      return seconds;
    });
  }

  #gauge(name: string, help: string, read?: (from: MetricSources) => number | undefined): Gauge {
    const sources = () => this.#sources;
    return new Gauge({
      ...this.#counted,
      name: PREFIX + name,
      help,
      ...(read !== undefined && {
        collect() {
          const from = sources();
          const value = from && read(from);
          if (value !== undefined) this.set(value);
        },
      }),
    });
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ ...this.#counted, name: PREFIX + name, help, labelNames });
  }

  #zero(): void {
    for (const kind of BYTE_KINDS.received) this.receivedBytes.inc({ kind }, 0);
    for (const kind of BYTE_KINDS.sent) this.sentBytes.inc({ kind }, 0);
    for (const result of CHUNK_RESULTS) this.chunks.inc({ result }, 0);
    for (const reason of REFUSAL_REASONS) this.refusedConnections.inc({ reason }, 0);
    for (const code of CALL_CODES) this.fetches.inc({ code }, 0);
    for (const code of HAND_OVER_CODES) this.handOvers.inc({ code }, 0);
    for (const result of INDEX_RESULTS) {
      this.heartbeats.inc({ result }, 0);
      for (const kind of ['full', 'changes']) this.announces.inc({ kind, result }, 0);
      for (const operation of INDEX_OPERATIONS) this.indexCalls.inc({ operation, result }, 0);
    }
    // Of the rarer codes a series appears when the first call ends with it: all at once would be several hundred.
    for (const method of PEER_METHODS) this.grpcCalls.inc({ method, code: 'ok' }, 0);
    for (const method of CONTROL_METHODS) this.controlCalls.inc({ method, code: 'ok' }, 0);
    for (const method of PEER_METHODS) this.grpcCalls.inc({ method, code: 'internal' }, 0);
    for (const method of CONTROL_METHODS) this.controlCalls.inc({ method, code: 'internal' }, 0);
  }
}

function betweenPeers(
  values: readonly { readonly value: number; readonly labels: { kind?: string | number } }[],
): number {
  return values.reduce((sum, { value, labels }) => (LOCAL_KINDS.includes(labels.kind) ? sum : sum + value), 0);
}
