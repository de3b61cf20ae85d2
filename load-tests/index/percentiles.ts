/** How times are spread: the middle, the value that 99 of 100 do not exceed, and the largest, in milliseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** By nearest rank, so that each is a time that was measured. Throws a RangeError when there is none. */
export function percentilesOf(times: readonly number[]): Percentiles {
  const sorted = Float64Array.from(times).sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  const [p50, p99, max] = [at(0.5), at(0.99), at(1)];
  if (p50 === undefined || p99 === undefined || max === undefined) throw new RangeError('no time was measured');
  return { count: sorted.length, p50, p99, max };
}
