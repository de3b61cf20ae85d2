import type { Catalog, PeerRow } from './catalog.js';

/** How long a peer that has gone is still shown, in milliseconds. */
export const GONE_KEPT_MS = 3_600_000;

/** What a peer is at `now`: its own word while its lease runs, `gone` after that. */
export function stateOf(peer: PeerRow, now: number): 'live' | 'draining' | 'gone' {
  return peer.state === 'withdrawn' || peer.leaseUntil <= now ? 'gone' : peer.state;
}

/**
 * The peers as the store knows them, read at most once in `maxAgeMs`: each heartbeat answer needs them, and with a
 * thousand peers there are hundreds of those a second.
 */
export class PeerDirectory {
  readonly #catalog: Catalog;
  readonly #now: () => number;
  readonly #maxAgeMs: number;
  #snapshot: { readonly at: number; readonly peers: Promise<readonly PeerRow[]> } | undefined;

  constructor(deps: { readonly catalog: Catalog; now(): number }, options: { readonly maxAgeMs: number }) {
    this.#catalog = deps.catalog;
    this.#now = deps.now;
    this.#maxAgeMs = options.maxAgeMs;
  }

  /** All peers, those that went within the hour included, in order of name. */
  async all(): Promise<readonly PeerRow[]> {
    const now = this.#now();
    const snapshot = this.#snapshot;
    if (snapshot !== undefined && now - snapshot.at < this.#maxAgeMs) return snapshot.peers;
    const fresh = { at: now, peers: this.#catalog.peers(now - GONE_KEPT_MS) };
    this.#snapshot = fresh;
    try {
      return await fresh.peers;
    } catch (error) {
      if (this.#snapshot === fresh) this.#snapshot = undefined;
      throw error;
    }
  }

  /** Peers that take work. */
  async live(): Promise<readonly PeerRow[]> {
    const now = this.#now();
    return (await this.all()).filter((peer) => stateOf(peer, now) === 'live');
  }

  /** Peers whose lease runs, draining ones included. */
  async leased(): Promise<readonly PeerRow[]> {
    const now = this.#now();
    return (await this.all()).filter((peer) => stateOf(peer, now) !== 'gone');
  }

  /** Somebody came or went: read again. */
  invalidate(): void {
    this.#snapshot = undefined;
  }
}
