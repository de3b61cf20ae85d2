import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/*
 * Every metric of the index server. Labels come from the closed sets below and start at 0; a file, peer, user or
 * address is never a label.
 */

/** Why a request was not let in. */
export const AUTH_FAILURES = [
  'missing',
  'malformed',
  'unknown_session',
  'bad_token',
  'bad_on_behalf',
  'bad_join_secret',
  'bad_password',
  'throttled',
] as const;
/** Why a request was not let in. */
export type AuthFailure = (typeof AUTH_FAILURES)[number];

/** Kinds of work that the store does; every method of the catalog belongs to one. */
export const STORE_OPERATIONS = [
  'account',
  'session',
  'publish',
  'read_file',
  'list',
  'search',
  'change_file',
  'restore',
  'read_peers',
  'heartbeat',
  'change_peer',
  'announce',
  'read_holders',
  'orders',
  'upkeep',
] as const;
/** A kind of work that the store does. */
export type StoreOperation = (typeof STORE_OPERATIONS)[number];

const CODE_CLASSES = ['2xx', '4xx', '5xx'] as const;
/** `withdrawn` left in good order, the heartbeats of `gone` stopped. */
const PEER_STATES = ['live', 'draining', 'withdrawn', 'gone'] as const;
const PUBLISH_RESULTS = ['new_name', 'new_version', 'same_content'] as const;
const LOCATE_RESULTS = ['with_holders', 'without_holders'] as const;
const ORDER_KINDS = ['replicate', 'drop', 'update'] as const;
const RESTORE_RESULTS = ['restored', 'refused'] as const;
/** Why the pods could not be watched on. `expired` is normal after a long time away. */
const POD_WATCH_FAILURES = ['denied', 'unavailable', 'expired'] as const;

/** Figures that are read from the store when /metrics is asked for. */
export interface StoreFigures {
  readonly files: number;
  readonly users: number;
  readonly peers: Readonly<Record<(typeof PEER_STATES)[number], number>>;
}

/** The metrics of one index server, in a registry of its own. */
export class IndexMetrics {
  readonly registry = new Registry();
  readonly httpRequests = this.#counter('http_requests_total', 'HTTP requests answered, by class of status', [
    'route',
    'method',
    'code',
  ]);
  readonly httpSeconds = this.#histogram('http_request_duration_seconds', 'Time to answer an HTTP request', {
    labelNames: ['route'],
    buckets: [0.01, 0.1, 1],
  });
  readonly storeSeconds = this.#histogram('store_operation_duration_seconds', 'Time the store took', {
    labelNames: ['operation'],
    buckets: [0.005, 0.05, 0.5],
  });
  readonly storeErrors = this.#counter(
    'store_errors_total',
    'Store operations that failed as unavailable or internal',
    ['operation'],
  );
  readonly storeUp = this.#gauge('store_up', 'Whether the store answered when the metrics were last asked for');
  readonly authFailures = this.#counter('auth_failures_total', 'Requests not let in', ['reason']);
  readonly logins = this.#counter('logins_total', 'Sessions begun');
  readonly passwordsWaiting = this.#gauge('passwords_waiting', 'Passwords waiting to be hashed');
  readonly files = this.#gauge('files', 'Files in the catalogue, current versions');
  readonly users = this.#gauge('users', 'Accounts');
  readonly peers = this.#gauge(
    'peers',
    'Peers by state; those that left, and those whose heartbeats stopped, are kept for an hour',
    ['state'],
  );
  readonly joins = this.#counter('joins_total', 'Peers that joined, restarts included');
  readonly leaseExpirations = this.#counter('lease_expirations_total', 'Peers whose heartbeats stopped');
  readonly announces = this.#counter('announces_total', 'Announcements of holdings');
  readonly restores = this.#counter('restored_records_total', 'Records that peers gave back', ['result']);
  readonly publishes = this.#counter('publishes_total', 'Files published', ['result']);
  readonly removals = this.#counter('removed_versions_total', 'Versions removed by their owners');
  readonly locates = this.#counter('locates_total', 'Files located', ['result']);
  readonly reports = this.#counter('corruption_reports_total', 'Reports that a peer served corrupt bytes');
  readonly orders = this.#counter('orders_total', 'Orders given to peers', ['kind']);
  readonly underReplicated = this.#gauge(
    'under_replicated_files',
    'Files that when last looked at had fewer live copies than wanted',
  );
  readonly placeFailures = this.#counter(
    'place_failures_total',
    'Times that a peer asked whether its pod comes back and it could not be found out',
  );
  readonly leftBehind = this.#counter(
    'left_behind_files_total',
    'Files of which a peer that left for good had the only copy',
  );
  readonly podWatchInSync = this.#gauge(
    'pod_watch_in_sync',
    'Whether killed peers are noticed at once, by their pods; 0 where only leases tell',
  );
  readonly #podWatchFailures = this.#counter('pod_watch_failures_total', 'Times that watching the pods failed', [
    'reason',
  ]);

  constructor() {
    const start = <T extends string>(
      metric: { inc(labels: Record<string, string>, by: number): void },
      label: string,
      values: readonly T[],
    ) => {
      for (const value of values) metric.inc({ [label]: value }, 0);
    };
    start(this.authFailures, 'reason', AUTH_FAILURES);
    start(this.storeErrors, 'operation', STORE_OPERATIONS);
    start(this.peers, 'state', PEER_STATES);
    start(this.publishes, 'result', PUBLISH_RESULTS);
    start(this.locates, 'result', LOCATE_RESULTS);
    start(this.orders, 'kind', ORDER_KINDS);
    start(this.restores, 'result', RESTORE_RESULTS);
    start(this.#podWatchFailures, 'reason', POD_WATCH_FAILURES);
    for (const operation of STORE_OPERATIONS) this.storeSeconds.zero({ operation });
    collectDefaultMetrics({ register: this.registry, gcDurationBuckets: [0.01, 0.1, 1] });
    // Gauges under a counter's name: promtool rejects them.
    for (const what of ['handles', 'requests', 'resources']) {
      this.registry.removeSingleMetric(`nodejs_active_${what}_total`);
    }
  }

  /** Makes the series of a route exist, at 0. */
  startRoute(route: string, method: string): void {
    for (const code of CODE_CLASSES) this.httpRequests.inc({ route, method, code }, 0);
    this.httpSeconds.zero({ route });
  }

  observeRequest(labels: { readonly route: string; readonly method: string }, status: number, seconds: number): void {
    // Nothing here redirects; 1xx and 3xx would be somebody else's.
    const code = status >= 500 ? '5xx' : status >= 400 ? '4xx' : '2xx';
    this.httpRequests.inc({ ...labels, code });
    this.httpSeconds.observe({ route: labels.route }, seconds);
  }

  authFailure(reason: AuthFailure): void {
    this.authFailures.inc({ reason });
  }

  podWatchFailed(reason: (typeof POD_WATCH_FAILURES)[number]): void {
    this.#podWatchFailures.inc({ reason });
  }

  setFigures({ files, users, peers }: StoreFigures): void {
    this.files.set(files);
    this.users.set(users);
    for (const state of PEER_STATES) this.peers.set({ state }, peers[state]);
  }

  #counter<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter({ name: `shoal_index_${name}`, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #gauge<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Gauge<T> {
    return new Gauge({ name: `shoal_index_${name}`, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #histogram<T extends string>(
    name: string,
    help: string,
    { labelNames, buckets }: { readonly labelNames: readonly T[]; readonly buckets: readonly number[] },
  ): Histogram<T> {
    return new Histogram({
      name: `shoal_index_${name}`,
      help,
      labelNames: [...labelNames],
      // Few: with a series for each route and operation, the whole page stays under 500.
      buckets: [...buckets],
      registers: [this.registry],
    });
  }
}
