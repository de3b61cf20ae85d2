import type { BenchPeer } from './environment.js';

/** One figure of a peer as its metrics tell it now. Rejects when they do not. */
export async function peerMetric(
  { url }: Pick<BenchPeer, 'url'>,
  name: `shoal_peer_${string}`,
  signal: AbortSignal,
): Promise<number> {
  const answer = await fetch(`${url}/metrics`, { signal });
  const page = await answer.text();
  // Somebody else may listen there, who has other things to tell.
  if (!answer.ok) throw new Error(`${url}/metrics answered ${answer.status}: ${page.slice(0, 200)}`);
  return metricIn(page, name);
}

/** p99 of the delay of a peer's event loop, in seconds, since this was last asked. */
export function loopLagSeconds(peer: BenchPeer, signal: AbortSignal): Promise<number> {
  return peerMetric(peer, 'shoal_peer_event_loop_lag_seconds', signal);
}

/** The figure of that name, which has no labels, on a page of metrics. Throws when it is not there. */
export function metricIn(page: string, name: string): number {
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1];
  if (value === undefined) throw new Error(`the metrics do not tell ${name}`);
  return Number(value);
}
