import type { Catalog, FileRow, OrderRow, PeerRow } from './catalog.js';
import type { IndexMetrics } from './metrics.js';
import type { PeerDirectory } from './peer-directory.js';
import { missingCopies, planCopies } from './replication.js';

/** More holders than this are not told of a change one by one; they learn of it when they announce. */
const HOLDERS_TOLD = 10_000;
/** Ids remembered as short of copies; more are found again by the repair's rounds. */
const SHORT_MAX = 100_000;

/** What {@link Replicator} needs. */
export interface ReplicatorDeps {
  readonly catalog: Catalog;
  readonly directory: PeerDirectory;
  readonly metrics: IndexMetrics;
  now(): number;
}

/** Gives peers orders, so that each file has its copies, its holders the current records, and removed files go. */
export class Replicator {
  readonly #deps: ReplicatorDeps;
  readonly #short = new Set<string>();

  constructor(deps: ReplicatorDeps) {
    this.#deps = deps;
  }

  /** Ids that had too few copies when last looked at, longest ago first, at most `limit`. */
  shortOfCopies(limit: number): readonly string[] {
    return [...this.#short].slice(0, limit);
  }

  /**
   * Orders the copies that a file lacks, not from `excluded` peers, and returns the peers that were asked. A peer that
   * stopped sending heartbeats less than `awayMs` ago still counts as holding its copy. Where nobody holds all of the
   * file there is nothing to copy, and nobody is asked.
   */
  async ensureCopies(
    id: string,
    { excluded = [], awayMs = 0 }: { readonly excluded?: readonly string[]; readonly awayMs?: number } = {},
  ): Promise<readonly PeerRow[]> {
    const { catalog, directory } = this.#deps;
    const [first] = await catalog.allVersionsWithId(id, 1);
    if (first === undefined) {
      this.#setShort(id, false);
      return [];
    }
    const { size: sizeBytes, replicas: wanted } = first;
    const { complete, isHeld } = await this.#completeHolders(id, { enough: wanted, awayMs });
    const plan = { id, sizeBytes, wanted, excluded, complete, peers: await directory.live() };
    this.#setShort(id, missingCopies(plan) > 0);
    if (!isHeld) return [];
    const targets = planCopies(plan);
    await this.#give(
      targets.map((peer) => peer.name),
      'replicate',
      id,
    );
    return targets;
  }

  /** Asks peers for copies that somebody else planned. */
  async orderCopies(orders: readonly Pick<OrderRow, 'peer' | 'id'>[]): Promise<void> {
    await this.#addOrders(orders, 'replicate');
  }

  /** Whether a file has the copies wanted, without one on `exceptPeer`. */
  async hasCopies(id: string, wanted: number, exceptPeer: string): Promise<boolean> {
    const { complete } = await this.#completeHolders(id, { enough: wanted + 1, awayMs: 0 });
    const others = complete.filter((peer) => peer !== exceptPeer);
    return missingCopies({ wanted, complete: others }) === 0;
  }

  /** The records of a file are not what its holders keep any more: tells them, `exceptPeer` left out. */
  async recordsChanged(id: string, exceptPeer?: string): Promise<void> {
    const holders = await this.#holderNames(id);
    await this.#give(
      holders.filter((peer) => peer !== exceptPeer),
      'update',
      id,
    );
  }

  /** Versions are gone: holders drop files that have none left, and update the records of the others. */
  async versionsGone(rows: readonly FileRow[]): Promise<void> {
    const ids = [...new Set(rows.map((row) => row.id))];
    const known = await this.#deps.catalog.knownIds(ids);
    for (const id of ids) {
      await this.#give(await this.#holderNames(id), known.has(id) ? 'update' : 'drop', id);
      if (!known.has(id)) this.#setShort(id, false);
    }
  }

  /** What a peer keeps as the records of these files are not the current ones. */
  async recordsOutdated(peer: string, ids: readonly string[]): Promise<void> {
    await this.#addOrders(
      ids.map((id) => ({ peer, id })),
      'update',
    );
  }

  /**
   * Peers whose copies count: all of them, or at least `enough`. Nobody needs to know a whole crowd. `isHeld` tells whether
   * anybody has all of it, be it a peer that is leaving.
   */
  async #completeHolders(
    id: string,
    { enough, awayMs }: { readonly enough: number; readonly awayMs: number },
  ): Promise<{ readonly complete: readonly string[]; readonly isHeld: boolean }> {
    const { catalog, directory, now } = this.#deps;
    // A copy on a peer that is leaving is a copy to fetch from, not one to count on.
    // By its own word: a killed pod comes back more often than not, and a copy is not made anew for each restart.
    const leaving = await directory.leaving();
    for (let limit = enough; ; limit *= 4) {
      const holders = await catalog.holders(id, { now: now() - awayMs, limit, random: 0 });
      const whole = holders.filter((holder) => holder.complete).map(({ peer }) => peer);
      const complete = whole.filter((peer) => !leaving.has(peer));
      const isAll = holders.length < limit || holders.length >= HOLDERS_TOLD;
      if (isAll || complete.length >= enough) return { complete, isHeld: whole.length > 0 };
    }
  }

  async #holderNames(id: string): Promise<readonly string[]> {
    const { catalog, now } = this.#deps;
    return (await catalog.holders(id, { now: now(), limit: HOLDERS_TOLD, random: 0 })).map(({ peer }) => peer);
  }

  async #give(peers: readonly string[], kind: OrderRow['kind'], id: string): Promise<void> {
    await this.#addOrders(
      peers.map((peer) => ({ peer, id })),
      kind,
    );
  }

  async #addOrders(orders: readonly Pick<OrderRow, 'peer' | 'id'>[], kind: OrderRow['kind']): Promise<void> {
    if (orders.length === 0) return;
    const createdAt = this.#deps.now();
    await this.#deps.catalog.addOrders(orders.map((order) => ({ ...order, kind, createdAt })));
    this.#deps.metrics.orders.inc({ kind }, orders.length);
  }

  #setShort(id: string, isShort: boolean): void {
    // Taken out first: what was looked at last goes to the end.
    this.#short.delete(id);
    if (isShort && this.#short.size < SHORT_MAX) this.#short.add(id);
    this.#deps.metrics.underReplicated.set(this.#short.size);
  }
}
