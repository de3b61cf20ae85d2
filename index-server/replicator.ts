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
    const versions = await this.#deps.catalog.allVersionsWithId(id);
    const [first] = versions;
    if (first === undefined) {
      this.#setShort(id, false);
      return [];
    }
    const plan = {
      id,
      sizeBytes: first.size,
      wanted: wantedCopies(versions),
      excluded,
      ...(await this.#holdersOf(id, awayMs)),
    };
    this.#setShort(id, missingCopies(plan) > 0);
    if (plan.complete.length === 0) return [];
    const targets = planCopies(plan);
    await this.#give(
      targets.map((peer) => peer.name),
      'replicate',
      id,
    );
    return targets;
  }

  /** Whether a file has all its copies, without those on `exceptPeer`. */
  async hasCopies(id: string, versions: readonly FileRow[], exceptPeer: string): Promise<boolean> {
    const { complete } = await this.#holdersOf(id, 0);
    const others = complete.filter((peer) => peer !== exceptPeer);
    return missingCopies({ wanted: wantedCopies(versions), complete: others }) === 0;
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

  /** One peer's records of a file are not the current ones. */
  async recordsOutdated(peer: string, id: string): Promise<void> {
    await this.#give([peer], 'update', id);
  }

  async #holdersOf(id: string, awayMs: number): Promise<{ complete: readonly string[]; peers: readonly PeerRow[] }> {
    const { catalog, directory, now } = this.#deps;
    // A copy on a peer that is leaving is a copy to fetch from, not one to count on.
    // By its own word: a killed pod comes back more often than not, and a copy is not made anew for each restart.
    const leaving = await directory.leaving();
    const holders = await catalog.holders(id, { now: now() - awayMs, limit: HOLDERS_TOLD, random: 0 });
    const complete = holders.filter((holder) => holder.complete && !leaving.has(holder.peer)).map(({ peer }) => peer);
    return { complete, peers: await directory.live() };
  }

  async #holderNames(id: string): Promise<readonly string[]> {
    const { catalog, now } = this.#deps;
    return (await catalog.holders(id, { now: now(), limit: HOLDERS_TOLD, random: 0 })).map(({ peer }) => peer);
  }

  async #give(peers: readonly string[], kind: OrderRow['kind'], id: string): Promise<void> {
    if (peers.length === 0) return;
    const createdAt = this.#deps.now();
    await this.#deps.catalog.addOrders(peers.map((peer) => ({ peer, id, kind, createdAt })));
    this.#deps.metrics.orders.inc({ kind }, peers.length);
  }

  #setShort(id: string, isShort: boolean): void {
    // Taken out first: what was looked at last goes to the end.
    this.#short.delete(id);
    if (isShort && this.#short.size < SHORT_MAX) this.#short.add(id);
    this.#deps.metrics.underReplicated.set(this.#short.size);
  }
}

/** The most that any version of an id asks for. */
function wantedCopies(versions: readonly FileRow[]): number {
  return versions.reduce((most, version) => Math.max(most, version.replicas), 0);
}
