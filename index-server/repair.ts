import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '../common/log.js';
import type { Catalog, PeerRow } from './catalog.js';
import type { IndexMetrics } from './metrics.js';
import { type PeerDirectory, stateOf } from './peer-directory.js';
import type { Replicator } from './replicator.js';

/*
 * Keeps the copies at the number wanted. Each run looks at a bounded number of files: first those known to lack copies,
 * then those of peers that have been away too long, then a slow round over what the live peers hold, which finds what
 * events missed. Every index server does it; plans are the same, so orders are too.
 */

/** What {@link Repair} needs. */
export interface RepairDeps {
  readonly catalog: Catalog;
  readonly directory: PeerDirectory;
  readonly replicator: Replicator;
  readonly metrics: IndexMetrics;
  readonly log: Logger;
  now(): number;
}

/** Where the walk over a peer's holdings stands. */
interface Walk {
  readonly peer: string;
  token: string | undefined;
}

/** The periodic job; {@link run} does one step of it. */
export class Repair {
  readonly #deps: RepairDeps;
  readonly #options: { readonly afterMs: number; readonly batch: number };
  /** Names of the peers seen with a running lease. */
  readonly #leased = new Set<string>();
  /** Peers gone, by name and incarnation: their walk, or null when it is finished. */
  readonly #gone = new Map<string, Walk | null>();
  #round: Walk | undefined;

  constructor(deps: RepairDeps, options: { readonly afterMs: number; readonly batch: number }) {
    this.#deps = deps;
    this.#options = options;
  }

  /** One step. */
  async run(): Promise<void> {
    const peers = await this.#deps.directory.rows();
    this.#countExpirations(peers);
    for (const id of this.#deps.replicator.shortOfCopies(this.#options.batch)) {
      await this.#check(id);
    }
    await this.#walkGone(peers);
    await this.#walkLive(peers);
  }

  #countExpirations(peers: readonly PeerRow[]): void {
    const now = this.#deps.now();
    for (const peer of peers) {
      if (stateOf(peer, now) !== 'gone') this.#leased.add(peer.name);
      else if (this.#leased.delete(peer.name) && peer.state !== 'withdrawn') {
        this.#deps.metrics.leaseExpirations.inc();
        this.#deps.log.warn({ peer: peer.name }, 'the heartbeats of a peer stopped');
      }
    }
  }

  async #walkGone(peers: readonly PeerRow[]): Promise<void> {
    const away = new Map(this.#awayTooLong(peers).map((peer) => [`${peer.name}/${peer.incarnation}`, peer.name]));
    // Those that came back or were forgotten.
    for (const key of this.#gone.keys()) if (!away.has(key)) this.#gone.delete(key);
    for (const [key, peer] of away) {
      const walk = this.#gone.get(key);
      if (walk === null) continue;
      if (walk === undefined) await this.#replan(peer);
      this.#gone.set(key, (await this.#step(walk ?? { peer, token: undefined })) ?? null);
      return;
    }
  }

  #awayTooLong(peers: readonly PeerRow[]): readonly PeerRow[] {
    const now = this.#deps.now();
    return peers.filter((peer) => stateOf(peer, now) === 'gone' && peer.leaseUntil + this.#options.afterMs <= now);
  }

  /** Copies that the peer was asked to make and will not. */
  async #replan(peer: string): Promise<void> {
    const { catalog } = this.#deps;
    const orders = await catalog.ordersFor(peer, this.#options.batch);
    const ids = orders.filter(({ kind }) => kind === 'replicate').map(({ id }) => id);
    await catalog.deleteOrders(peer, 'replicate', ids);
    for (const id of ids) await this.#check(id);
  }

  async #walkLive(peers: readonly PeerRow[]): Promise<void> {
    const now = this.#deps.now();
    // Copies on a peer that withdrew for a restart cannot be seen; the round would take them for lost.
    const isRestarting = (peer: PeerRow) => peer.state === 'withdrawn' && peer.leaseUntil + this.#options.afterMs > now;
    if (peers.some(isRestarting)) return;
    const live = peers.filter((peer) => stateOf(peer, now) !== 'gone').map(({ name }) => name);
    const last = this.#round?.peer ?? '';
    // In order of name, the one after the last, and from the start again.
    const next = live.find((name) => name > last) ?? live[0];
    const walk = this.#round?.token === undefined ? next && { peer: next, token: undefined } : this.#round;
    if (walk) this.#round = (await this.#step(walk)) ?? { peer: walk.peer, token: undefined };
  }

  /** Looks at a page of a peer's holdings; undefined when that was the last. */
  async #step({ peer, token }: Walk): Promise<Walk | undefined> {
    const { catalog } = this.#deps;
    const page = await catalog.holdingsOf(peer, { limit: this.#options.batch, ...(token !== undefined && { token }) });
    for (const { id, complete } of page.rows) if (complete) await this.#check(id);
    return page.next === null ? undefined : { peer, token: page.next };
  }

  async #check(id: string): Promise<void> {
    // A store that answers at once would keep everybody else waiting until the step is over.
    await nextTurn();
    await this.#deps.replicator.ensureCopies(id, { awayMs: this.#options.afterMs });
  }
}
