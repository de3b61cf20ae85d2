import fc from 'fast-check';
import { ChunkSet } from '../chunk-set.js';
import { ChunkPicker, type ChunkPickerOptions, type Decision } from './chunk-picker.js';

const CHUNK_BYTES = 64 * 1024;

function setOf(size: number, chunks: Iterable<number>): ChunkSet {
  const set = new ChunkSet(size);
  for (const chunk of chunks) set.add(chunk);
  return set;
}

function range(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i);
}

function newPicker(size: number, options: Partial<ChunkPickerOptions> = {}): ChunkPicker {
  return new ChunkPicker(new ChunkSet(size), {
    chunkBytes: CHUNK_BYTES,
    random: () => 0,
    maxWindowBytes: 8 * 1024 * 1024,
    windowMs: 60,
    minWindowChunks: 2,
    stallMs: 1000,
    spareMs: 300,
    endGameChunks: 4,
    ...options,
  });
}

/** What `decide` asked of each neighbour. */
function wants(decisions: readonly Decision[]): Record<string, Pick<Decision, 'chunks' | 'any'>> {
  return Object.fromEntries(
    decisions.filter(({ kind }) => kind === 'want').map(({ neighbour, chunks, any }) => [neighbour, { chunks, any }]),
  );
}

describe('ChunkPicker', () => {
  it('lets the only complete neighbour choose', () => {
    const picker = newPicker(10);
    picker.join('seed', setOf(10, range(10)), 0);
    expect(wants(picker.decide(0))).toEqual({ seed: { chunks: [], any: 2 } });
  });

  it('asks two complete neighbours by number, each for other chunks', () => {
    const picker = newPicker(10);
    picker.join('a', setOf(10, range(10)), 0);
    picker.join('b', setOf(10, range(10)), 0);
    const { a, b } = wants(picker.decide(0));
    expect(a?.any).toBe(0);
    expect(a?.chunks).toHaveLength(2);
    expect(b?.chunks).toHaveLength(2);
    expect(new Set([...(a?.chunks ?? []), ...(b?.chunks ?? [])]).size).toBe(4);
  });

  it('takes from a partial neighbour what it has, the rarest first', () => {
    const picker = newPicker(4, { minWindowChunks: 1 });
    picker.join('a', setOf(4, [0, 1, 2]), 0);
    picker.join('b', setOf(4, [0, 1]), 0);
    expect(wants(picker.decide(0))['a']?.chunks).toEqual([2]);
  });

  it('spares the complete neighbour as long as it has chunks that nobody else has', () => {
    const picker = newPicker(4, { minWindowChunks: 8 });
    picker.join('seed', setOf(4, range(4)), 0);
    picker.join('peer', setOf(4, [0, 1]), 0);
    expect(wants(picker.decide(0))).toEqual({ seed: { chunks: [], any: 2 }, peer: { chunks: [0, 1], any: 0 } });
  });

  it('takes "any" requests back when others have announced the chunks', () => {
    const picker = newPicker(4, { minWindowChunks: 4 });
    picker.join('seed', setOf(4, range(4)), 0);
    picker.decide(0);
    picker.join('peer', setOf(4, [0, 1, 2]), 0);
    expect(picker.decide(0)).toContainEqual({ kind: 'cancel', neighbour: 'seed', chunks: [], any: 3 });
  });

  it('asks by number whoever refuses to choose', () => {
    const picker = newPicker(4);
    picker.join('seed', setOf(4, range(4)), 0);
    picker.decide(0);
    picker.refusedAny('seed', 2);
    const asked = wants(picker.decide(0))['seed'];
    expect(asked?.any).toBe(0);
    expect(new Set(asked?.chunks).size).toBe(2);
  });

  it('spares who has sent everything once, until nothing comes from others any more', () => {
    const picker = newPicker(4, { minWindowChunks: 1 });
    picker.join('seed', setOf(4, range(4)), 0);
    picker.join('peer', setOf(4, [0]), 0);
    picker.decide(0);
    picker.refusedAny('seed', 1);
    picker.received('peer', CHUNK_BYTES, 200);
    picker.arrived('peer', 0);
    expect(wants(picker.decide(200))).toEqual({});
    expect(wants(picker.decide(499))).toEqual({});
    expect(picker.nextDeadlineMs()).toBe(500);
    expect(wants(picker.decide(500))['seed']?.chunks).toHaveLength(1);
  });

  it('does not spare the only neighbour there is', () => {
    const picker = newPicker(4);
    picker.join('seed', setOf(4, range(4)), 0);
    picker.decide(0);
    picker.refusedAny('seed', 2);
    expect(wants(picker.decide(1))['seed']?.chunks).toHaveLength(2);
  });

  it('asks two for one chunk at the end, but only as often as it may', () => {
    const picker = newPicker(5, { endGameChunks: 1 });
    picker.arrived(undefined, 4);
    picker.join('slow', setOf(5, [0, 1]), 0);
    expect(wants(picker.decide(0))['slow']?.chunks).toHaveLength(2);
    picker.received('slow', CHUNK_BYTES / 100, 100);
    picker.join('quick', setOf(5, [0, 1, 2, 3]), 100);
    // As long as there is something that nobody was asked for, what the slow one owes is left to it.
    expect(new Set(wants(picker.decide(100))['quick']?.chunks)).toEqual(new Set([2, 3]));
    for (const chunk of [2, 3]) {
      picker.received('quick', CHUNK_BYTES, 80 + 20 * chunk);
      picker.arrived('quick', chunk);
    }
    expect(wants(picker.decide(140))['quick']?.chunks).toHaveLength(1);
    expect(wants(picker.decide(141))).toEqual({});
  });

  it('asks for wanted chunks first, by number even of the complete neighbour', () => {
    const picker = newPicker(10);
    picker.join('seed', setOf(10, range(10)), 0);
    picker.prioritise([7, 8]);
    expect(wants(picker.decide(0))['seed']).toEqual({ chunks: [7, 8], any: 0 });
  });

  it('asks others for what a neighbour owed that left', () => {
    const picker = newPicker(2);
    picker.join('a', setOf(2, [0, 1]), 0);
    picker.join('b', setOf(2, [0, 1]), 0);
    picker.decide(0);
    picker.leave('a');
    picker.refusedAny('b', 0);
    expect(wants(picker.decide(0))['b']?.chunks).toEqual([0, 1]);
  });

  it('asks somebody else when a neighbour stalls, and takes the chunk back when it has come', () => {
    const picker = newPicker(8, { endGameChunks: 0, minWindowChunks: 1 });
    picker.join('slow', setOf(8, [0]), 0);
    picker.decide(0);
    picker.join('quick', setOf(8, [0, 1]), 500);
    expect(wants(picker.decide(500))['quick']?.chunks).toEqual([1]);
    picker.arrived('quick', 1);
    expect(wants(picker.decide(600))).toEqual({});
    expect(picker.nextDeadlineMs()).toBe(1000);
    expect(wants(picker.decide(1000))['quick']?.chunks).toEqual([0]);
    expect(picker.arrived('quick', 0)).toBe('new');
    expect(picker.decide(1001)).toContainEqual({ kind: 'cancel', neighbour: 'slow', chunks: [0], any: 0 });
    expect(picker.arrived('slow', 0)).toBe('duplicate');
  });

  it('leaves what a stalled neighbour owes to it while others have something that nobody was asked for', () => {
    const picker = newPicker(8, { minWindowChunks: 1 });
    picker.join('slow', setOf(8, [0]), 0);
    picker.decide(0);
    picker.join('quick', setOf(8, [0, 1]), 900);
    picker.join('other', setOf(8, [2, 3]), 900);
    picker.decide(900);
    picker.received('quick', CHUNK_BYTES, 1000);
    picker.arrived('quick', 1);
    // Chunk 3 is still there to be asked for.
    expect(wants(picker.decide(1000))).toEqual({});
    picker.received('other', CHUNK_BYTES, 1001);
    picker.arrived('other', 2);
    expect(wants(picker.decide(1001))).toEqual({ other: { chunks: [3], any: 0 } });
    expect(wants(picker.decide(1002))).toEqual({ quick: { chunks: [0], any: 0 } });
  });

  it('asks one more for a wanted chunk when who owes it has stalled', () => {
    const picker = newPicker(8, { minWindowChunks: 1 });
    picker.join('slow', setOf(8, [0]), 0);
    picker.decide(0);
    picker.join('quick', setOf(8, range(8)), 900);
    picker.prioritise([0]);
    expect(wants(picker.decide(999))['quick']?.chunks).not.toContain(0);
    picker.join('other', setOf(8, [0]), 1000);
    expect(wants(picker.decide(1000))['other']?.chunks).toEqual([0]);
    picker.join('third', setOf(8, [0]), 1001);
    expect(wants(picker.decide(1001))['third']).toBeUndefined();
  });

  it('asks for one more with every chunk that comes, until it knows a rate', () => {
    const picker = newPicker(100, { minWindowChunks: 1 });
    picker.join('a', setOf(100, range(50)), 0);
    expect(wants(picker.decide(0))['a']?.chunks).toHaveLength(1);
    picker.received('a', CHUNK_BYTES, 1);
    picker.arrived('a', 0);
    expect(wants(picker.decide(1))['a']?.chunks).toHaveLength(2);
  });

  it('widens the window of a quick neighbour', () => {
    const picker = newPicker(1000);
    picker.join('a', setOf(1000, range(500)), 0);
    picker.decide(0);
    for (let chunk = 0; chunk < 2; chunk += 1) {
      picker.received('a', 10 * CHUNK_BYTES, 25 * (chunk + 1));
      picker.arrived('a', chunk);
    }
    expect(wants(picker.decide(50))['a']?.chunks.length).toBeGreaterThan(10);
  });

  it('names neighbours that owe something and are silent', () => {
    const picker = newPicker(4);
    picker.join('a', setOf(4, range(4)), 0);
    expect(picker.silent(99_999, 5000)).toEqual([]);
    picker.decide(0);
    expect(picker.silent(4999, 5000)).toEqual([]);
    expect(picker.silent(5000, 5000)).toEqual(['a']);
  });
});

/*
 * Any history: peers come and go, announce, send, refuse and fall silent. A small model of the neighbours' side plays
 * along, so that what the picker asks can be answered.
 */
type Step =
  | { readonly do: 'join'; readonly peer: number; readonly chunks: readonly number[]; readonly complete: boolean }
  | { readonly do: 'leave' | 'send' | 'refuse'; readonly peer: number }
  | { readonly do: 'announce'; readonly peer: number; readonly chunk: number }
  | { readonly do: 'wait'; readonly ms: number };

const PEERS = 4;

function steps(chunkCount: number): fc.Arbitrary<readonly Step[]> {
  const peer = fc.nat({ max: PEERS - 1 });
  const chunk = fc.nat({ max: chunkCount - 1 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ do: fc.constant('join' as const), peer, chunks: fc.array(chunk), complete: fc.boolean() }),
    fc.record({ do: fc.constantFrom('leave' as const, 'send' as const, 'send' as const, 'refuse' as const), peer }),
    fc.record({ do: fc.constant('announce' as const), peer, chunk }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 3000 }) }),
  );
  return fc.array(step, { maxLength: 80 });
}

class World {
  readonly picker: ChunkPicker;
  readonly peers = new Map<string, { have: Set<number>; queue: number[]; any: number }>();
  readonly got = new Set<number>();
  readonly chunkCount: number;
  readonly options: { readonly endGameChunks: number };
  nowMs = 0;

  constructor(chunkCount: number, options: { readonly endGameChunks: number }) {
    this.chunkCount = chunkCount;
    this.options = options;
    this.picker = newPicker(chunkCount, { ...options, random: () => 0.37 });
  }

  apply(step: Step): void {
    if (step.do === 'wait') this.nowMs += step.ms;
    else this.#applyTo(`p${step.peer}`, step);
    this.carryOut();
  }

  /** Sends the next chunk that a peer owes. Returns whether there was one. */
  send(name: string): boolean {
    const peer = this.peers.get(name);
    if (peer === undefined) return false;
    const asked = peer.queue.shift();
    const chunk = asked ?? (peer.any > 0 ? [...peer.have].find((c) => !this.got.has(c)) : undefined);
    if (chunk === undefined) return false;
    if (asked === undefined) peer.any -= 1;
    this.nowMs += 1;
    this.picker.received(name, CHUNK_BYTES, this.nowMs);
    expect(this.picker.arrived(name, chunk)).toBe(this.got.has(chunk) ? 'duplicate' : 'new');
    this.got.add(chunk);
    return true;
  }

  carryOut(): void {
    for (const { kind, neighbour, chunks, any } of this.picker.decide(this.nowMs)) {
      const peer = this.peers.get(neighbour);
      if (kind === 'cancel') {
        if (peer === undefined) continue;
        peer.queue = peer.queue.filter((chunk) => !chunks.includes(chunk));
        peer.any = Math.max(0, peer.any - any);
        continue;
      }
      if (peer === undefined) throw new Error(`asked ${neighbour}, who is not there`);
      for (const chunk of chunks) {
        expect(peer.have.has(chunk)).toBe(true);
        expect(this.got.has(chunk)).toBe(false);
        expect(peer.queue).not.toContain(chunk);
        peer.queue.push(chunk);
        expect([...this.peers.values()].filter(({ queue }) => queue.includes(chunk)).length).toBeLessThanOrEqual(2);
      }
      peer.any += any;
    }
  }

  #applyTo(name: string, step: Exclude<Step, { do: 'wait' }>): void {
    const peer = this.peers.get(name);
    if (step.do === 'join') {
      if (peer !== undefined) return;
      const have = new Set(step.complete ? range(this.chunkCount) : step.chunks);
      this.peers.set(name, { have, queue: [], any: 0 });
      this.picker.join(name, setOf(this.chunkCount, have), this.nowMs);
    } else if (peer === undefined) {
      return;
    } else if (step.do === 'leave') {
      this.peers.delete(name);
      this.picker.leave(name);
    } else if (step.do === 'announce') {
      peer.have.add(step.chunk);
      this.picker.has(name, [step.chunk]);
    } else if (step.do === 'send') {
      this.send(name);
    } else if (step.do === 'refuse') {
      const chunk = peer.queue.shift();
      if (chunk === undefined) return;
      peer.have.delete(chunk);
      this.picker.refused(name, chunk);
    }
  }
}

describe('ChunkPicker, whatever happens', () => {
  it('asks only who has it, nothing twice beyond the rules, and gets all that somebody has', () => {
    const story = fc
      .record({ size: fc.integer({ min: 1, max: 40 }), endGameChunks: fc.nat({ max: 4 }) })
      .chain((shape) => fc.record({ shape: fc.constant(shape), history: steps(shape.size) }));
    fc.assert(
      fc.property(story, ({ shape, history }) => {
        const world = new World(shape.size, shape);
        for (const step of history) world.apply(step);
        // From here on everybody who is left sends what he is asked: all that anybody has must arrive.
        for (let idle = 0; idle < 3; ) {
          let sent = false;
          for (const name of world.peers.keys()) {
            sent = world.send(name) || sent;
            world.carryOut();
          }
          if (!sent) world.nowMs += 5000;
          world.carryOut();
          idle = sent ? 0 : idle + 1;
        }
        const reachable = new Set([...world.peers.values()].flatMap(({ have }) => [...have]));
        for (const chunk of reachable) expect(world.got.has(chunk)).toBe(true);
        expect(world.picker.missingCount).toBe(shape.size - world.got.size);
      }),
      { numRuns: 300 },
    );
  });
});
