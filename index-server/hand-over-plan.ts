import type { PeerRow } from './catalog.js';
import { planCopies } from './replication.js';

/*
 * Who must take what when a peer leaves. Pure: files with what is known of their copies go in, one after the other, and
 * each comes out with how it stands and whom to ask. Room that is given away is not given twice, and who was asked already
 * is not passed over for somebody with more room: while the copies of one plan are made the room of everybody changes.
 */

/**
 * How a file of a leaving peer stands: somebody who stays has all of it (`safe`); somebody is to copy it; or nobody can,
 * because nobody else is live or has room. `unknown`: the index has no record of it yet.
 */
export type HandOverState = 'safe' | 'copying' | 'no_peer' | 'no_space' | 'unknown';

/** A file of a leaving peer. Of the others, who may be named here and is not live counts for nothing. */
export interface LeavingFile {
  readonly id: string;
  readonly sizeBytes: number;
  /** Copies wanted in all. */
  readonly wanted: number;
  /** Peers that have all of it. */
  readonly complete: readonly string[];
  /** Peers that have some of it: room for the rest is set aside there. */
  readonly partial: readonly string[];
  /** Peers that were asked to copy it and have not done so yet. */
  readonly ordered: readonly string[];
}

/** How a file stands, and who should be asked to copy it besides those who were. */
export interface Placed {
  readonly state: HandOverState;
  readonly targets: readonly string[];
}

/** The plan for one peer that leaves. */
export class HandOverPlan {
  /** Those that may take files, with the room that is left. */
  readonly #staying: Map<string, PeerRow>;

  /** @param staying peers that are live and not leaving */
  constructor(staying: readonly PeerRow[]) {
    this.#staying = new Map(staying.map((peer) => [peer.name, peer]));
  }

  /** Finds takers for a file; room for it is set aside with those that have none of it yet. */
  place({ id, sizeBytes, wanted, complete, partial, ordered }: LeavingFile): Placed {
    const kept = complete.filter((peer) => this.#staying.has(peer));
    const begun = new Set(partial);
    const asked = ordered.filter((peer) => !kept.includes(peer) && (begun.has(peer) || this.#hasRoom(peer, sizeBytes)));
    const coming = asked.filter((peer) => this.#staying.has(peer));
    for (const peer of coming) if (!begun.has(peer)) this.#setAside(peer, sizeBytes);
    const targets = planCopies({
      ...{ id, sizeBytes, wanted: Math.max(1, wanted), excluded: [] },
      complete: [...kept, ...coming],
      peers: [...this.#staying.values()],
    }).map(({ name }) => name);
    for (const peer of targets) if (!begun.has(peer)) this.#setAside(peer, sizeBytes);
    if (kept.length > 0) return { state: 'safe', targets };
    if (coming.length + targets.length > 0) return { state: 'copying', targets };
    return { state: this.#staying.size === 0 ? 'no_peer' : 'no_space', targets };
  }

  #hasRoom(peer: string, bytes: number): boolean {
    return (this.#staying.get(peer)?.bytesFree ?? 0) >= bytes;
  }

  #setAside(name: string, bytes: number): void {
    const peer = this.#staying.get(name);
    if (peer !== undefined) this.#staying.set(name, { ...peer, bytesFree: Math.max(0, peer.bytesFree - bytes) });
  }
}
