import { setImmediate as nextTurn } from 'node:timers/promises';
import { ShoalError } from '../common/errors.js';
import type { HandedOver, Place } from './api/peers.js';
import type { Catalog } from './catalog.js';
import { HandOverPlan, type LeavingFile } from './hand-over-plan.js';
import type { IndexMetrics } from './metrics.js';
import type { PeerDirectory } from './peer-directory.js';
import type { PeerPlaces } from './pods/peer-places.js';
import type { Replicator } from './replicator.js';
import type { PeerIdentity } from './signer.js';

/*
 * A peer that leaves asks, some files at a time and again and again, whether somebody else has them; who should is asked
 * to copy them. Nothing of it is remembered here between two calls: orders stand in the store, what is held is announced,
 * and the peer itself knows best which files it has. So any index server can answer any of the calls.
 */

/** Holders looked at beyond the copies wanted, to know of some that have begun. */
const PARTIAL_LOOKED_AT = 8;

/** What {@link HandOver} needs. `random` gives numbers from 0 up to, not including, 1. */
export interface HandOverDeps {
  readonly catalog: Catalog;
  readonly directory: PeerDirectory;
  readonly replicator: Replicator;
  readonly places: PeerPlaces;
  readonly metrics: Pick<IndexMetrics, 'placeFailures'>;
  now(): number;
  random(): number;
}

/** What is known of a file beside who is asked to copy it. */
type Looked = Omit<LeavingFile, 'ordered'> | 'removed' | 'unknown';

/** Files on their way from peers that leave to peers that stay. */
export class HandOver {
  readonly #deps: HandOverDeps;

  constructor(deps: HandOverDeps) {
    this.#deps = deps;
  }

  /**
   * Has the files of a peer copied that nobody else has, or too few, and tells which of them only that peer has yet.
   * Throws `conflict` unless the peer has said in a heartbeat that it is draining: until then its own copies count.
   */
  async of(peer: PeerIdentity, ids: readonly string[]): Promise<HandedOver> {
    const { catalog, directory, replicator } = this.#deps;
    const row = await catalog.peer(peer.name);
    if (row?.state !== 'draining' || row.incarnation !== peer.incarnation) {
      throw new ShoalError('conflict', `the peer '${peer.name}' has not said that it is draining`);
    }
    // Of two that leave at the same time and ask different servers, one at least must see that the other does: both have
    // written that they drain before they look.
    await directory.renew();
    const staying = (await directory.all()).filter(({ state }) => state === 'live').map((listed) => listed.row);
    const ordered = await this.#ordered(ids);
    const plan = new HandOverPlan(staying);
    const rest: HandedOver['rest'] = [];
    const orders: { readonly peer: string; readonly id: string }[] = [];
    for (const id of new Set(ids)) {
      // A store that answers at once would keep everybody else waiting until all are looked at.
      await nextTurn();
      const file = await this.#look(id, peer.name);
      if (file === 'removed') continue;
      if (file === 'unknown') {
        rest.push({ id, state: file });
        continue;
      }
      const { state, targets } = plan.place({ ...file, ordered: ordered.get(id) ?? [] });
      for (const target of targets) orders.push({ peer: target, id });
      if (state !== 'safe') rest.push({ id, state });
    }
    await replicator.orderCopies(orders);
    return { rest };
  }

  /** Whether a peer whose pod ends comes back. Throws `unavailable` when that cannot be found out now. */
  async placeOf(peer: PeerIdentity): Promise<Place> {
    const { places, metrics } = this.#deps;
    try {
      return await places.of(peer.name);
    } catch (error) {
      metrics.placeFailures.inc();
      throw error;
    }
  }

  async #ordered(ids: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const ordered = new Map<string, string[]>();
    for (const { id, peer } of await this.#deps.catalog.copiesOrdered(ids)) {
      ordered.set(id, [...(ordered.get(id) ?? []), peer]);
    }
    return ordered;
  }

  async #look(id: string, leaving: string): Promise<Looked> {
    const { catalog, directory, now, random } = this.#deps;
    const [first] = await catalog.allVersionsWithId(id, 1);
    if (first === undefined) return (await catalog.removedIds([id])).has(id) ? 'removed' : 'unknown';
    const { size: sizeBytes, replicas: wanted } = first;
    const unfit = await directory.unfit();
    const holders = await catalog.holders(id, {
      ...{ now: now(), limit: wanted + PARTIAL_LOOKED_AT, random: random() },
      except: [leaving, ...unfit.gone, ...unfit.draining],
    });
    const named = (isComplete: boolean) =>
      holders.filter(({ complete }) => complete === isComplete).map(({ peer }) => peer);
    return { id, sizeBytes, wanted, complete: named(true), partial: named(false) };
  }
}
