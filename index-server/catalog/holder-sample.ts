import { createHash } from 'node:crypto';

/*
 * How a few holders are chosen out of many without reading them all. The holders of a file stand on a circle, each at a
 * spot that is a hash of file and peer; a sample begins at a random spot and goes round. Where a peer stands differs
 * from file to file, so over many files none is favoured.
 */

const SPOTS = 2 ** 32;

/** A peer that holds a file. */
export interface Candidate {
  readonly peer: string;
  readonly address: string;
  readonly complete: boolean;
}

/** Part of the circle: spots from `from` up to, not including, `to`. */
export interface Arc {
  readonly complete: boolean;
  readonly from: number;
  readonly to: number;
}

/** Where a peer stands among the holders of a file: a whole number from 0 up to, not including, 2^32. */
export function spotOf(id: string, peer: string): number {
  return createHash('sha256').update(`${id}/${peer}`).digest().readUInt32BE();
}

/**
 * Chooses at most `limit` candidates, partial ones only when there are too few complete ones. `read` gives up to `wanted`
 * candidates of an arc, in order of spot; `random` is from 0 up to, not including, 1.
 */
export async function sampleHolders(
  read: (arc: Arc, wanted: number) => Promise<readonly Candidate[]>,
  { limit, random }: { readonly limit: number; readonly random: number },
): Promise<readonly Candidate[]> {
  const start = Math.floor(random * SPOTS);
  const chosen: Candidate[] = [];
  for (const complete of [true, false]) {
    for (const [from, to] of [
      [start, SPOTS],
      [0, start],
    ] as const) {
      if (chosen.length < limit) chosen.push(...(await read({ complete, from, to }, limit - chosen.length)));
    }
  }
  return chosen;
}
