import { toShoalError } from '../common/errors.js';
import type { IndexClient } from '../index-server/client.js';
import { indexResult } from './membership.js';
import type { IndexOperation, PeerMetrics } from './metrics.js';
import type { FetchObserver } from './swarm/fetch.js';
import type { TransferObserver } from './swarm/transfer-observer.js';

/** What each method of the client counts as. */
const OPERATIONS: Readonly<Partial<Record<keyof IndexClient, IndexOperation>>> = {
  join: 'join',
  heartbeat: 'heartbeat',
  announce: 'announce',
  restore: 'restore',
  withdraw: 'withdraw',
  handOver: 'hand_over',
  place: 'place',
  report: 'report',
  peers: 'peers',
  publish: 'publish',
  publishMany: 'publish',
  list: 'list',
  search: 'search',
  stat: 'stat',
  locate: 'locate',
  locateMany: 'locate',
  publishTicket: 'ticket',
  patch: 'patch',
  remove: 'remove',
  register: 'account',
  login: 'account',
  logout: 'account',
  account: 'account',
  changePassword: 'account',
  seedLogin: 'seed',
  seedLogout: 'seed',
  seedIndex: 'seed',
  seedSearch: 'seed',
};

/** The client with every call counted. */
export function meteredIndex(index: IndexClient, metrics: PeerMetrics): IndexClient {
  return new Proxy(index, {
    get(target, name) {
      // The target as receiver: methods use private fields, which a proxy does not have.
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const operation = OPERATIONS[name as keyof IndexClient];
      const call = (value as (...args: unknown[]) => unknown).bind(target);
      return operation === undefined ? call : (...args: unknown[]) => counted(metrics, operation, call(...args));
    },
  });
}

async function counted(metrics: PeerMetrics, operation: IndexOperation, call: unknown): Promise<unknown> {
  try {
    const answer = await call;
    metrics.indexCalls.inc({ operation, result: 'ok' });
    return answer;
  } catch (error) {
    metrics.indexCalls.inc({ operation, result: indexResult(toShoalError(error)) });
    throw error;
  }
}

/** Counts what the gRPC server does. */
export function transferObserver(metrics: PeerMetrics): TransferObserver {
  return {
    sentBytes: (kind, bytes) => metrics.sentBytes.inc({ kind }, bytes),
    receivedBytes: (bytes) => metrics.receivedBytes.inc({ kind: 'upload' }, bytes),
    refusedChunk: () => metrics.refusedChunks.inc(),
    refusedConnection: (reason) => metrics.refusedConnections.inc({ reason }),
    serving: (_kind, change) => metrics.servingStreams.inc(change),
    call: (method, code) => metrics.grpcCalls.inc({ method, code }),
  };
}

/** Counts what fetches do. */
export function fetchObserver(metrics: PeerMetrics): FetchObserver {
  return {
    receivedBytes: (bytes) => metrics.receivedBytes.inc({ kind: 'exchange' }, bytes),
    chunk: (result) => metrics.chunks.inc({ result }),
    firstByte: (seconds) => metrics.timeToFirstByte.observe(seconds),
    ended: (code, seconds) => {
      metrics.fetches.inc({ code });
      if (code === 'ok') metrics.fetchSeconds.observe(seconds);
    },
  };
}

/** Counts what fetches of small files do, whose bytes come by downloads. */
export function smallFetchObserver(metrics: PeerMetrics): FetchObserver {
  return {
    ...fetchObserver(metrics),
    receivedBytes: (bytes) => metrics.receivedBytes.inc({ kind: 'download' }, bytes),
  };
}
