import type { BenchPeer } from './environment.js';

/** p99 of the delay of a peer's event loop since this was last asked. */
export async function loopLagSeconds({ url }: BenchPeer, signal: AbortSignal): Promise<number> {
  const page = await (await fetch(`${url}/metrics`, { signal })).text();
  return loopLagIn(page);
}

/** That figure on a page of metrics. Throws when it is not there. */
export function loopLagIn(page: string): number {
  const value = /^shoal_peer_event_loop_lag_seconds (\S+)$/m.exec(page)?.[1];
  if (value === undefined) throw new Error('the metrics do not tell the delay of the event loop');
  return Number(value);
}
