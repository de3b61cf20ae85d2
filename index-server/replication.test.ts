import fc from 'fast-check';
import type { PeerRow } from './catalog.js';
import { type CopyPlan, planCopies } from './replication.js';

function peer(name: string, bytesFree: number): PeerRow {
  const rest = { version: '1', incarnation: 'x', state: 'live', leaseUntil: 1, files: 0, bytesUsed: 0 } as const;
  return { name, address: `${name}:4999`, bytesFree, ...rest };
}

const BASE: CopyPlan = { id: 'f1', sizeBytes: 100, wanted: 2, complete: ['p0'], excluded: [], peers: [] };
const names = (peers: readonly PeerRow[]) => peers.map(({ name }) => name);

const planArbitrary = fc.record({
  id: fc.string(),
  sizeBytes: fc.nat({ max: 1000 }),
  wanted: fc.nat({ max: 8 }),
  complete: fc.subarray(['p0', 'p1', 'p2', 'p3']),
  excluded: fc.subarray(['p2', 'p3', 'p4', 'p5']),
  peers: fc
    .array(fc.nat({ max: 2000 }), { maxLength: 12 })
    .map((free) => free.map((bytes, at) => peer(`p${at}`, bytes))),
});

describe('the plan of copies', () => {
  test('asks for what is missing and no more', () => {
    const peers = ['p0', 'p1', 'p2', 'p3'].map((name) => peer(name, 1000));
    expect(planCopies({ ...BASE, peers })).toHaveLength(1);
    expect(planCopies({ ...BASE, peers, wanted: 3 })).toHaveLength(2);
    expect(planCopies({ ...BASE, peers, wanted: 1 })).toEqual([]);
    expect(planCopies({ ...BASE, peers, wanted: 50 })).toHaveLength(3);
  });

  test('prefers peers with much more room, and takes small differences for none', () => {
    const peers = [peer('p1', 1_000), peer('p2', 1_000_000), peer('p3', 1_000_100)];
    expect(names(planCopies({ ...BASE, peers, wanted: 4 }))[2]).toBe('p1');
    const first = new Set(
      Array.from({ length: 50 }, (_unused, at) => names(planCopies({ ...BASE, peers, id: `file ${at}` }))[0]),
    );
    expect(first).toEqual(new Set(['p2', 'p3']));
  });

  test('spreads files over equal peers', () => {
    const peers = Array.from({ length: 10 }, (_unused, at) => peer(`shoal-peer-${at}`, 1_000_000));
    const counts = new Map<string, number>();
    for (let file = 0; file < 5000; file += 1) {
      const [target] = names(planCopies({ ...BASE, complete: ['other'], peers, id: `file ${file}` }));
      counts.set(target as string, (counts.get(target as string) ?? 0) + 1);
    }
    expect(Math.min(...counts.values())).toBeGreaterThan(400);
    expect(Math.max(...counts.values())).toBeLessThan(600);
  });

  test('never asks a holder, an excluded peer, one without room, or anyone twice; and asks as many as it can', () => {
    fc.assert(
      fc.property(planArbitrary, (plan) => {
        const targets = planCopies(plan);
        const able = plan.peers.filter(
          ({ name, bytesFree }) =>
            bytesFree >= plan.sizeBytes && !plan.complete.includes(name) && !plan.excluded.includes(name),
        );
        expect(targets).toHaveLength(Math.min(able.length, Math.max(0, plan.wanted - plan.complete.length)));
        expect(new Set(targets).size).toBe(targets.length);
        for (const target of targets) expect(able).toContain(target);
      }),
    );
  });

  test('stays the same when it is made again while its copies are under way or done', () => {
    fc.assert(
      fc.property(planArbitrary, (plan) => {
        const targets = names(planCopies(plan));
        expect(names(planCopies({ ...plan, peers: [...plan.peers].reverse() }))).toEqual(targets);
        const [done, ...others] = targets;
        if (done === undefined) return;
        expect(names(planCopies({ ...plan, complete: [...plan.complete, done] }))).toEqual(others);
      }),
    );
  });
});
