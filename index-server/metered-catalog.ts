import { toShoalError } from '../common/errors.js';
import type { Catalog } from './catalog.js';
import type { IndexMetrics, StoreOperation } from './metrics.js';

const OPERATION_OF: Readonly<Record<keyof Catalog, StoreOperation>> = {
  open: 'upkeep',
  close: 'upkeep',
  ping: 'upkeep',
  sweep: 'upkeep',
  counts: 'upkeep',
  createUser: 'account',
  userByName: 'account',
  usersById: 'account',
  setPassword: 'account',
  setSeat: 'account',
  seat: 'account',
  deleteSeat: 'account',
  createSession: 'session',
  session: 'session',
  deleteSession: 'session',
  deleteSessionsOf: 'session',
  publish: 'publish',
  current: 'read_file',
  versionsWithId: 'read_file',
  visibleWithName: 'read_file',
  knownIds: 'read_file',
  removedIds: 'read_file',
  allVersionsWithId: 'read_file',
  recordsWithIds: 'read_file',
  tombstonesOf: 'read_file',
  storeId: 'upkeep',
  list: 'list',
  search: 'search',
  patch: 'change_file',
  removeName: 'change_file',
  removeVersion: 'change_file',
  restore: 'restore',
  restoreTombstones: 'restore',
  putPeer: 'change_peer',
  withdrawPeer: 'change_peer',
  forgetPeers: 'change_peer',
  heartbeat: 'heartbeat',
  peer: 'read_peers',
  peerByAddress: 'read_peers',
  peers: 'read_peers',
  hold: 'announce',
  release: 'announce',
  beginFull: 'announce',
  endFull: 'announce',
  holders: 'read_holders',
  completeAmong: 'read_holders',
  holdingsOf: 'read_holders',
  addOrders: 'orders',
  ordersFor: 'orders',
  copiesOrdered: 'orders',
  deleteOrders: 'orders',
};

/** The same catalog, with the time of each call and the failures of the store counted in `metrics`. */
export function meterCatalog(catalog: Catalog, metrics: IndexMetrics): Catalog {
  const metered = new Map<string, unknown>();
  for (const [name, operation] of Object.entries(OPERATION_OF)) {
    const method = catalog[name as keyof Catalog] as (...args: unknown[]) => Promise<unknown>;
    metered.set(name, (...args: unknown[]) => measure(() => method.apply(catalog, args), operation, metrics));
  }
  return Object.fromEntries(metered) as unknown as Catalog;
}

async function measure<T>(call: () => Promise<T>, operation: StoreOperation, metrics: IndexMetrics): Promise<T> {
  const stop = metrics.storeSeconds.startTimer({ operation });
  try {
    return await call();
  } catch (error) {
    const { code } = toShoalError(error);
    if (code === 'unavailable' || code === 'internal') metrics.storeErrors.inc({ operation });
    throw error;
  } finally {
    stop();
  }
}
