/**
 * No way to bring `bytes` from one node to all others is faster than this, in seconds: the first holder must send
 * everything once, the slowest receiver must receive it, and all uplinks together must carry a copy for each receiver
 * (Mundinger, Weber and Weiss, "Optimal scheduling of peer-to-peer file dissemination", 2008). Headers are not counted,
 * so 1.00 of it is out of reach by some 5 %. `mbits` are the rates of the links, up and down alike, the first holder's
 * first.
 */
export function lowerBoundSeconds(bytes: number, mbits: readonly number[]): number {
  const [first, ...others] = mbits.map((mbit) => (mbit * 1e6) / 8);
  if (first === undefined || others.length === 0) throw new RangeError('a crowd has a first holder and others');
  const allUplinks = others.reduce((sum, rate) => sum + rate, first);
  return Math.max(bytes / first, bytes / Math.min(...others), (others.length * bytes) / allUplinks);
}
