import fc from 'fast-check';
import { EventQueue } from './event-queue.js';

describe('the events of a simulation', () => {
  it('happen in order of time, and of planning where that is the same', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), (times) => {
        const events = new EventQueue();
        const happened: { readonly atMs: number; readonly planned: number }[] = [];
        for (const [planned, atMs] of times.entries()) events.at(atMs, () => happened.push({ atMs, planned }));
        while (events.step());
        const expected = times.map((atMs, planned) => ({ atMs, planned }));
        expect(happened).toEqual(expected.sort((a, b) => a.atMs - b.atMs || a.planned - b.planned));
      }),
    );
  });

  it('never happen before what is happening', () => {
    const events = new EventQueue();
    const seen: number[] = [];
    events.at(10, () => events.at(3, () => seen.push(events.nowMs)));
    while (events.step());
    expect(seen).toEqual([10]);
  });
});
