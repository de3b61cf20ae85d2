import type { PeerRow } from './catalog.js';

/*
 * Which peers should get a copy. Pure: the same swarm gives the same choice, so that planning twice (a repair after a
 * publish, two index servers at once) asks the same peers and makes no copy too many.
 */

/** What there is to choose from. */
export interface CopyPlan {
  readonly id: string;
  readonly sizeBytes: number;
  /** Copies wanted in all. */
  readonly wanted: number;
  /** Peers that hold all of it and stay. */
  readonly complete: readonly string[];
  /** Peers that must not be asked. */
  readonly excluded: readonly string[];
  /** Peers that are live and not draining. */
  readonly peers: readonly PeerRow[];
}

/** How many copies are missing. */
export function missingCopies(plan: Pick<CopyPlan, 'wanted' | 'complete'>): number {
  return Math.max(0, plan.wanted - plan.complete.length);
}

/**
 * The peers that should fetch a copy, best first; fewer than missing when there are no more. Those with the most room
 * come first, where room counts in powers of two: figures that are seconds old would otherwise send everything to one
 * peer. Equals are ordered by rendezvous hashing of (peer, file), which spreads files evenly.
 */
export function planCopies(plan: CopyPlan): readonly PeerRow[] {
  const missing = missingCopies(plan);
  if (missing === 0) return [];
  const taken = new Set([...plan.complete, ...plan.excluded]);
  return plan.peers
    .filter((peer) => !taken.has(peer.name) && peer.bytesFree >= plan.sizeBytes)
    .map((peer) => ({
      peer,
      room: Math.floor(Math.log2(peer.bytesFree + 1)),
      weight: hash32(`${peer.name}/${plan.id}`),
    }))
    .sort((a, b) => b.room - a.room || b.weight - a.weight || (a.peer.name < b.peer.name ? -1 : 1))
    .slice(0, missing)
    .map(({ peer }) => peer);
}

/** FNV-1a with the final mix of MurmurHash3, whose avalanche FNV lacks on short strings that differ at the end. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
