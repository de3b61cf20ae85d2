import fc from 'fast-check';
import { ChunkSet } from '../chunk-set.js';
import { MissingChunks } from './missing-chunks.js';

const SIZE = 24;

/** The same, said the long way. */
class Model {
  readonly missing = new Set<number>();
  readonly holders = new Array<number>(SIZE).fill(0);
  readonly askers = new Array<number>(SIZE).fill(0);

  get open(): number[] {
    return [...this.missing].filter((chunk) => this.askers[chunk] === 0).sort((a, b) => a - b);
  }

  heldBy(count: (holders: number) => boolean, chunks: Iterable<number>): number {
    return [...chunks].filter((chunk) => count(this.holders[chunk] as number)).length;
  }
}

type Step = readonly ['hold' | 'unhold' | 'ask' | 'unask' | 'remove', number];

function apply([what, chunk]: Step, missing: MissingChunks, model: Model): void {
  const [holders, askers] = [model.holders[chunk] as number, model.askers[chunk] as number];
  if (what === 'remove') {
    expect(missing.remove(chunk)).toBe(model.missing.delete(chunk));
  } else if (what === 'hold') {
    missing.heldByOneMore(chunk);
    model.holders[chunk] = holders + 1;
  } else if (what === 'unhold' && holders > 0) {
    missing.heldByOneLess(chunk);
    model.holders[chunk] = holders - 1;
  } else if (what === 'ask' && model.missing.has(chunk)) {
    missing.askedOfOneMore(chunk);
    model.askers[chunk] = askers + 1;
  } else if (what === 'unask' && askers > 0) {
    model.askers[chunk] = askers - 1;
    expect(missing.askedOfOneLess(chunk)).toBe(model.open.includes(chunk));
  }
}

function setOf(chunks: Iterable<number>): ChunkSet {
  const set = new ChunkSet(SIZE);
  for (const chunk of chunks) set.add(chunk);
  return set;
}

function openIn(missing: MissingChunks): number[] {
  return Array.from({ length: missing.openCount }, (_, place) => missing.openAt(place)).sort((a, b) => a - b);
}

const chunks = fc.nat({ max: SIZE - 1 });
const histories = fc.array(
  fc.tuple(fc.constantFrom('hold', 'hold', 'unhold', 'ask', 'ask', 'unask', 'remove'), chunks) as fc.Arbitrary<Step>,
  { maxLength: 120 },
);

describe('the missing chunks', () => {
  it('are counted right, whatever happens', () => {
    fc.assert(
      fc.property(fc.uniqueArray(chunks), histories, (have, history) => {
        const missing = new MissingChunks(setOf(have));
        const model = new Model();
        for (const chunk of setOf(have).missing()) model.missing.add(chunk);
        for (const step of history) {
          apply(step, missing, model);
          expect(missing.count).toBe(model.missing.size);
          expect(openIn(missing)).toEqual(model.open);
          expect(missing.askableCount).toBe(model.heldBy((holders) => holders > 0, model.open));
          expect(missing.singlyHeldCount).toBe(model.heldBy((holders) => holders === 1, model.missing));
        }
        for (let chunk = 0; chunk < SIZE; chunk += 1) {
          expect(missing.has(chunk)).toBe(model.missing.has(chunk));
          expect(missing.isOpen(chunk)).toBe(model.open.includes(chunk));
          expect(missing.holders(chunk)).toBe(model.holders[chunk]);
          expect(missing.askers(chunk)).toBe(model.askers[chunk]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('know nothing of chunks outside the file', () => {
    const missing = new MissingChunks(new ChunkSet(SIZE));
    expect([missing.has(SIZE), missing.isOpen(SIZE), missing.remove(SIZE)]).toEqual([false, false, false]);
  });
});

describe('the rarest chunk', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  it('is the rarest of all where few are open, wherever the looking begins', () => {
    fc.assert(
      fc.property(fc.uniqueArray(chunks, { minLength: 1, maxLength: 16 }), histories, random, (open, history, at) => {
        const missing = new MissingChunks(
          setOf(Array.from({ length: SIZE }, (_, c) => c).filter((c) => !open.includes(c))),
        );
        const model = new Model();
        for (const chunk of open) model.missing.add(chunk);
        for (const step of history) apply(step, missing, model);
        const fewest = Math.min(...model.open.map((chunk) => model.holders[chunk] as number));
        // Some that are no longer open, as a neighbour's offers have them.
        const offers = [...open, ...open.slice(0, 3)];
        const found = [missing.rarestOpen(() => at), missing.rarestOffer(offers, () => at)];
        for (const chunk of found) {
          if (model.open.length === 0) expect(chunk).toBeUndefined();
          else expect(model.holders[chunk as number]).toBe(fewest);
        }
        expect(found.every((chunk) => chunk === undefined || model.open.includes(chunk))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is looked for among sixteen, and offers that are stale are dropped on the way', () => {
    const missing = new MissingChunks(new ChunkSet(SIZE));
    for (let chunk = 0; chunk < SIZE; chunk += 1) missing.heldByOneMore(chunk);
    for (let chunk = 0; chunk < 16; chunk += 1) missing.heldByOneMore(chunk);
    expect(missing.rarestOpen(() => 0)).toBeLessThan(16);
    expect(missing.rarestOpen(() => 0.5)).toBeGreaterThanOrEqual(16);
    for (let chunk = 1; chunk < 20; chunk += 1) missing.askedOfOneMore(chunk);
    const offers = Array.from({ length: SIZE }, (_, chunk) => chunk);
    expect(missing.rarestOffer(offers, () => 0)).toBeGreaterThanOrEqual(20);
    expect(offers.sort((a, b) => a - b)).toEqual([0, 20, 21, 22, 23]);
    expect(missing.rarestOffer([1, 2, 3], () => 0.9)).toBeUndefined();
  });
});
