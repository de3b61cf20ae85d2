import { lowerBoundSeconds } from '../swarm/lower-bound.js';
import { type Simulation, type SimulationOptions, simulateSwarm } from './swarm-simulation.js';

/*
 * The real picker in a simulated network: what it makes of a crowd, without the noise of a machine. Simulated packets
 * have no headers, so that figures lie some 5 % below those of `npm run bench:swarm`.
 */

const MIB = 2 ** 20;
const BYTES = 16 * MIB;

function crowd(peers: number, mbit: number): number[] {
  return Array.from({ length: peers + 1 }, () => mbit);
}

/** Numbers from 0 to below 1 that are the same in each run (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function simulate(mbits: readonly number[], options: Partial<SimulationOptions> = {}): Simulation {
  return simulateSwarm({
    mbits,
    bytes: BYTES,
    chunkBytes: 64 * 1024,
    neighbours: 32,
    latencyMs: 10,
    transportBytes: 192 * 1024,
    random: chance(7),
    ...options,
  });
}

function slowest(seconds: readonly (number | undefined)[]): number {
  return Math.max(...seconds.map((each) => each ?? Number.POSITIVE_INFINITY));
}

describe('a simulated crowd', () => {
  it.each([
    [4, 100],
    [8, 50],
    [16, 25],
  ])('of %d at %d Mbit/s is served by one copy of the first holder, near the lower bound', (peers, mbit) => {
    const { seconds, firstHolderCopies, duplicates } = simulate(crowd(peers, mbit));
    expect(slowest(seconds) / lowerBoundSeconds(BYTES, crowd(peers, mbit))).toBeLessThan(1.15);
    expect(firstHolderCopies).toBeLessThan(1.05);
    expect(duplicates).toBeLessThan(0.01);
  });

  it('gets the file without the first holder when one copy has left it', () => {
    const { seconds } = simulate(crowd(8, 50), { firstHolderDiesAfter: 1 });
    expect(seconds).not.toContain(undefined);
  });

  it('does not get what never left the first holder', () => {
    const { seconds } = simulate(crowd(3, 100), { firstHolderDiesAfter: 0.5 });
    expect(seconds).toEqual([undefined, undefined, undefined]);
  });

  it('makes a late comer wait no longer than the others did', () => {
    const { seconds } = simulate(crowd(8, 50), { lateComerAt: 0.5 });
    expect(seconds.at(-1)).toBeLessThanOrEqual(slowest(seconds.slice(0, -1)));
  });

  it('is not held up by one at a tenth of the rate', () => {
    // What the slow one is sent last comes late whatever the size: in a small file that weighs more.
    const bytes = 64 * MIB;
    const without = slowest(simulate(crowd(7, 50), { bytes }).seconds);
    const withSlow = simulate([...crowd(7, 50), 5], { bytes }).seconds;
    expect(slowest(withSlow.slice(0, -1))).toBeLessThan(without * 1.1);
  });

  it('tells no more neighbours of a chunk than it has', () => {
    expect(simulate(crowd(48, 25), { bytes: 4 * MIB, neighbours: 8 }).messages).toBeLessThan(12);
  });
});
