import { ChunkSet } from '../chunk-set.js';
import { MissingChunks } from './missing-chunks.js';
import { Neighbour } from './neighbour.js';
import { TakeOvers } from './take-overs.js';

const CHUNK_BYTES = 64 * 1024;
/** Chunks that are in a transport already. */
const COMMITTED = 4;
const SIZE = 12;

/** A fetch at its end: what `asked` lists is asked of these neighbours, at these rates in chunks a second. */
function start(
  asked: Readonly<Record<string, { readonly chunks: readonly number[]; readonly perSecond: number }>>,
  { endGameChunks = 4, chunkCount = SIZE } = {},
) {
  const missing = new MissingChunks(new ChunkSet(SIZE));
  const takenBack: string[] = [];
  const neighbours = new Map<string, Neighbour>();
  for (const [name, { chunks, perSecond }] of Object.entries(asked)) {
    const neighbour = new Neighbour(name, ChunkSet.full(SIZE), 0);
    neighbour.bytesPerMs = (perSecond * CHUNK_BYTES) / 1000;
    neighbours.set(name, neighbour);
    for (const chunk of chunks) {
      neighbour.ask(chunk, 0);
      missing.heldByOneMore(chunk);
      missing.askedOfOneMore(chunk);
    }
  }
  for (let chunk = 0; chunk < SIZE; chunk += 1) if (missing.isOpen(chunk)) missing.remove(chunk);
  const takeOvers = new TakeOvers(
    {
      missing,
      neighbours,
      takeBack: (from, chunk) => {
        from.asked.delete(chunk);
        missing.askedOfOneLess(chunk);
        takenBack.push(`${from.name} ${chunk}`);
      },
    },
    { chunkBytes: CHUNK_BYTES, chunkCount, stallMs: 1_000, endGameChunks },
  );
  const choose = (name: string, nowMs = 0) => {
    const neighbour = neighbours.get(name) as Neighbour;
    const chunk = takeOvers.choose(neighbour, nowMs);
    if (chunk === undefined) return undefined;
    neighbour.ask(chunk, nowMs);
    missing.askedOfOneMore(chunk);
    return chunk;
  };
  const neighbour = (name: string) => neighbours.get(name) as Neighbour;
  return { takeOvers, choose, takenBack, missing, neighbour };
}

const SIX = [0, 1, 2, 3, 4, 5];

describe('who has nothing left to be asked', () => {
  it('takes the last chunk from who is slowest, which is told so', () => {
    const { choose, takenBack } = start({
      quick: { chunks: [], perSecond: 100 },
      slower: { chunks: [6, 7], perSecond: 2 },
      slowest: { chunks: SIX, perSecond: 2 },
    });
    expect(choose('quick')).toBe(5);
    expect(takenBack).toEqual(['slowest 5']);
  });

  it('is asked as well for what is in the transport of the other already', () => {
    const { choose, takenBack, neighbour } = start({
      quick: { chunks: [], perSecond: 100 },
      slow: { chunks: SIX.slice(0, COMMITTED), perSecond: 2 },
    });
    expect(choose('quick')).toBe(3);
    expect(takenBack).toEqual([]);
    expect([...neighbour('slow').asked.keys()]).toEqual([0, 1, 2, 3]);
    // Not of a third: that one is asked of two by now.
    expect(choose('quick')).toBe(2);
  });

  it.each([
    ['it would come within a moment anyway', 100],
    ['it would gain too little', 1.5],
  ])('takes nothing when %s', (_when, perSecond) => {
    const { choose } = start({
      quick: { chunks: [], perSecond: perSecond / 2 },
      slow: { chunks: [0, 1], perSecond },
    });
    expect(choose('quick')).toBeUndefined();
  });

  it('takes nothing while others have a chunk that nobody was asked for', () => {
    const { choose, missing, neighbour } = start({
      quick: { chunks: [], perSecond: 100 },
      slow: { chunks: SIX, perSecond: 2 },
    });
    neighbour('slow').asked.delete(0);
    missing.askedOfOneLess(0);
    expect(choose('quick')).toBeUndefined();
    missing.remove(0);
    expect(choose('quick')).toBe(5);
  });

  it('takes only what it has', () => {
    const { choose, neighbour } = start({
      quick: { chunks: [], perSecond: 100 },
      slow: { chunks: SIX, perSecond: 2 },
    });
    for (const chunk of [1, 3, 4, 5]) neighbour('quick').have.delete(chunk);
    expect(choose('quick')).toBe(2);
  });

  it('helps who has stalled, who keeps what it owes', () => {
    const { choose, takenBack, neighbour } = start({
      quick: { chunks: [], perSecond: 100 },
      stalled: { chunks: SIX, perSecond: 1_000 },
    });
    expect(choose('quick', 999)).toBeUndefined();
    expect(neighbour('stalled').isHelped).toBe(false);
    expect([choose('quick', 1_000), choose('quick', 1_000)]).toEqual([5, 4]);
    expect(neighbour('stalled').isHelped).toBe(true);
    expect(takenBack).toEqual([]);
  });
});

describe('what may come twice', () => {
  const slow = { quick: { chunks: [], perSecond: 100 }, slow: { chunks: SIX, perSecond: 2 } };

  it('is bounded while it is on its way, and counted when it has', () => {
    const { choose, takeOvers } = start(slow, { endGameChunks: 2 });
    expect([choose('quick'), choose('quick'), choose('quick')]).toEqual([5, 4, undefined]);
    takeOvers.came(5);
    expect([choose('quick'), choose('quick')]).toEqual([3, undefined]);
    takeOvers.came(4);
    takeOvers.cameAgain();
    expect(choose('quick')).toBeUndefined();
  });

  it('is a hundredth of a large file', () => {
    const { choose } = start(slow, { endGameChunks: 2, chunkCount: 300 });
    expect([choose('quick'), choose('quick'), choose('quick'), choose('quick')]).toEqual([5, 4, 3, undefined]);
  });
});
