import type { PeerRow } from '../catalog.js';

/** Of peers with one address, the live one whose lease ends last. (An address is given anew; very few have had it.) */
export function newestLease(peers: readonly PeerRow[], now: number): PeerRow | undefined {
  const live = peers.filter(({ state, leaseUntil }) => state !== 'withdrawn' && leaseUntil > now);
  return live.sort((a, b) => b.leaseUntil - a.leaseUntil)[0];
}
