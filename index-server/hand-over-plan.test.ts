import fc from 'fast-check';
import type { PeerRow } from './catalog.js';
import { HandOverPlan, type LeavingFile } from './hand-over-plan.js';

function peer(name: string, bytesFree: number): PeerRow {
  const rest = { version: '1', incarnation: 'x', state: 'live', leaseUntil: 1, files: 0, bytesUsed: 0 } as const;
  return { name, address: `${name}:4999`, bytesFree, ...rest };
}

const FILE: LeavingFile = { id: 'f', sizeBytes: 100, wanted: 1, complete: [], partial: [], ordered: [] };
const NAMES = ['p0', 'p1', 'p2', 'p3', 'gone'];

const fileArbitrary: fc.Arbitrary<LeavingFile> = fc
  .record({
    id: fc.string(),
    sizeBytes: fc.nat({ max: 500 }),
    wanted: fc.nat({ max: 3 }),
    complete: fc.subarray(NAMES),
    partial: fc.subarray(NAMES),
    ordered: fc.subarray(NAMES),
  })
  .map((file) => ({ ...file, partial: file.partial.filter((name) => !file.complete.includes(name)) }));
const planArbitrary = fc.record({
  free: fc.array(fc.nat({ max: 2000 }), { maxLength: 4 }),
  files: fc.array(fileArbitrary, { maxLength: 12 }),
});
const staying = (free: readonly number[]) => free.map((bytes, at) => peer(`p${at}`, bytes));

describe('a plan to hand over', () => {
  test('asks somebody for a file that nobody else has, and nobody for one that is safe', () => {
    const plan = new HandOverPlan(staying([1000, 1000]));
    expect(plan.place(FILE)).toEqual({ state: 'copying', targets: [expect.stringMatching(/^p[01]$/)] });
    expect(plan.place({ ...FILE, complete: ['p1'] })).toEqual({ state: 'safe', targets: [] });
  });

  test('goes on to the copies wanted when one is there', () => {
    const plan = new HandOverPlan(staying([1000, 1000, 1000]));
    expect(plan.place({ ...FILE, wanted: 3, complete: ['p1'] })).toEqual({
      state: 'safe',
      targets: expect.arrayContaining(['p0', 'p2']),
    });
  });

  test('counts no copy, and no order, of a peer that is not live', () => {
    const plan = new HandOverPlan(staying([1000]));
    expect(plan.place({ ...FILE, complete: ['gone'], ordered: ['gone'] })).toEqual({
      state: 'copying',
      targets: ['p0'],
    });
  });

  test('waits for whoever was asked, until there is no room there any more', () => {
    const roomy = () => new HandOverPlan([peer('p0', 150), peer('p1', 1_000_000)]);
    expect(roomy().place({ ...FILE, ordered: ['p0'] })).toEqual({ state: 'copying', targets: [] });
    expect(roomy().place({ ...FILE, sizeBytes: 200, ordered: ['p0'] })).toEqual({ state: 'copying', targets: ['p1'] });
    // What it has of the file already is what took the room.
    const begun = { ...FILE, sizeBytes: 200, ordered: ['p0'], partial: ['p0'] };
    expect(roomy().place(begun)).toEqual({ state: 'copying', targets: [] });
  });

  test('tells no room from nobody', () => {
    expect(new HandOverPlan([]).place(FILE).state).toBe('no_peer');
    expect(new HandOverPlan(staying([99])).place(FILE).state).toBe('no_space');
  });

  test('gives away the same room once', () => {
    const plan = new HandOverPlan(staying([250, 150]));
    const states = ['a', 'b', 'c', 'd'].map((id) => plan.place({ ...FILE, id }).state);
    expect(states).toEqual(['copying', 'copying', 'copying', 'no_space']);
  });

  test('asks only who stays, has no copy, was not asked and has room; and says so', () => {
    fc.assert(
      fc.property(planArbitrary, ({ free, files }) => {
        const peers = staying(free);
        const plan = new HandOverPlan(peers);
        const given = new Map<string, number>();
        for (const file of files) {
          const { state, targets } = plan.place(file);
          expect(new Set(targets).size).toBe(targets.length);
          for (const target of targets) {
            expect(peers.map(({ name }) => name)).toContain(target);
            expect(file.complete).not.toContain(target);
            if (!file.partial.includes(target)) given.set(target, (given.get(target) ?? 0) + file.sizeBytes);
          }
          const isKept = file.complete.some((name) => peers.some((stays) => stays.name === name));
          expect(state === 'safe').toBe(isKept);
          if (state === 'no_peer') expect(peers).toEqual([]);
          if (state === 'no_space') expect(targets).toEqual([]);
          expect(targets.length).toBeLessThanOrEqual(Math.max(1, file.wanted));
        }
        for (const { name, bytesFree } of peers) expect(given.get(name) ?? 0).toBeLessThanOrEqual(bytesFree);
      }),
    );
  });

  test('made again before anything has happened, it asks nobody more', () => {
    fc.assert(
      fc.property(planArbitrary, ({ free, files }) => {
        const first = new HandOverPlan(staying(free));
        const placed = files.map((file) => ({ file, ...first.place(file) }));
        const again = new HandOverPlan(staying(free));
        for (const { file, state, targets } of placed) {
          const after = again.place({ ...file, ordered: [...new Set([...file.ordered, ...targets])] });
          expect(after.targets).toEqual([]);
          expect(after.state).toBe(state);
        }
      }),
    );
  });
});
