import type { Order } from './api/peers.js';
import { LIMITS } from './api/values.js';
import { PEER_SUBJECT } from './auth.js';
import type { Catalog, FileRow, OrderRow, PeerRow } from './catalog.js';
import type { HolderDirectory } from './holder-directory.js';
import type { Replicator } from './replicator.js';
import type { Signer } from './signer.js';

/*
 * Orders on their way to a peer. Each is looked at again before it goes out: one that events have overtaken is taken
 * back instead.
 */

/** Orders in one heartbeat answer. */
const ORDERS_AT_ONCE = 32;
/** Holders that a replicating peer is told of. */
const HOLDERS_TOLD = Math.min(16, LIMITS.holders);
/** A peer that has not made a copy in this time is not going to; another one is asked. */
const REPLICATE_WITHIN_MS = 15 * 60_000;

/** What {@link Orders} needs. */
export interface OrdersDeps {
  readonly catalog: Catalog;
  readonly replicator: Replicator;
  readonly holders: HolderDirectory;
  readonly signer: Signer;
  now(): number;
}

/** The orders of each peer, with all it needs to carry them out. */
export class Orders {
  readonly #deps: OrdersDeps;

  constructor(deps: OrdersDeps) {
    this.#deps = deps;
  }

  /** What the peer should do now, at most 32 things. */
  async for(peer: PeerRow): Promise<readonly Order[]> {
    const orders: Order[] = [];
    for (const row of await this.#deps.catalog.ordersFor(peer.name, ORDERS_AT_ONCE)) {
      const versions = await this.#deps.catalog.allVersionsWithId(row.id, LIMITS.records);
      const order = await this.#orderOf(row, versions, peer);
      if (order === 'obsolete') await this.#deps.catalog.deleteOrders(peer.name, row.kind, [row.id]);
      else if (order !== 'later') orders.push(order);
    }
    return orders;
  }

  async #orderOf(row: OrderRow, versions: readonly FileRow[], peer: PeerRow): Promise<Order | 'obsolete' | 'later'> {
    const { id, kind } = row;
    if (kind === 'drop') return versions.length === 0 ? this.#drop(id) : 'obsolete';
    if (versions.length === 0) return 'obsolete';
    const records = versions.map(({ record }) => record);
    if (kind === 'update') return { do: 'update', id, records };
    return this.#replicate(row, { versions, records, peer });
  }

  async #drop(id: string): Promise<Order> {
    return { do: 'drop', id, tombstones: [...(await this.#deps.catalog.tombstonesOf(id, LIMITS.records))] };
  }

  async #replicate(
    { id, createdAt }: OrderRow,
    { versions, records, peer }: { versions: readonly FileRow[]; records: string[]; peer: PeerRow },
  ): Promise<Order | 'obsolete' | 'later'> {
    const { replicator, signer, now } = this.#deps;
    // The first one wants the most.
    const wanted = versions[0]?.replicas ?? 0;
    if (await replicator.hasCopies(id, wanted, peer.name)) return 'obsolete';
    if (peer.state === 'draining' || now() - createdAt > REPLICATE_WITHIN_MS) {
      await replicator.ensureCopies(id, { excluded: [peer.name] });
      return 'obsolete';
    }
    const holders = await this.#deps.holders.of(id, HOLDERS_TOLD, peer.name);
    if (holders.length === 0) return 'later';
    // Made out to the peer itself: who may read the file is no business of a copy.
    const subject = { sub: `${PEER_SUBJECT}${peer.name}`, name: peer.name, act: 'read', file: id } as const;
    const { token } = await signer.ticket(subject, now());
    return { do: 'replicate', id, records, ticket: token, holders: [...holders] };
  }
}
