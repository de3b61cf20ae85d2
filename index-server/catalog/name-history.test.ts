import fc from 'fast-check';
import type { TombstoneRow } from '../catalog.js';
import { fileRow, idOf, tombstoneOf } from '../testing/catalog-rows.js';
import * as names from './name-history.js';

/** What may happen to a name, at a time of its own each. */
type Event =
  | { readonly kind: 'publish'; readonly content: number; readonly keep: number }
  | { readonly kind: 'removeAll' }
  | { readonly kind: 'removeOne'; readonly version: number }
  | { readonly kind: 'restore'; readonly version: number }
  | { readonly kind: 'restoreTombstone'; readonly version: number; readonly only: boolean };

const versions = fc.integer({ min: 1, max: 8 });
const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        content: fc.nat(3),
        keep: fc.integer({ min: 1, max: 4 }),
      }),
    },
    fc.record({ kind: fc.constant('removeAll' as const) }),
    fc.record({ kind: fc.constant('removeOne' as const), version: versions }),
    fc.record({ kind: fc.constant('restore' as const), version: versions }),
    fc.record({ kind: fc.constant('restoreTombstone' as const), version: versions, only: fc.boolean() }),
  ),
  { maxLength: 30 },
);

function tombstone(version: number, removedAt: number, given: Partial<TombstoneRow> = {}): TombstoneRow {
  return tombstoneOf(fileRow({ version }), { removedAt, ...given });
}

function apply(history: names.NameHistory, event: Event, time: number): names.HistoryChange {
  const unchanged = { history, removed: [] };
  switch (event.kind) {
    case 'publish': {
      const id = idOf(`${event.content}`);
      const row = fileRow({ id, version: names.numberFor(history, id), publishedAt: time });
      return names.publish(history, row, event.keep);
    }
    case 'removeAll':
      return names.removeAll(history, tombstone(1, time));
    case 'removeOne':
      return names.removeOne(history, tombstone(event.version, time));
    case 'restore': {
      const restored = names.restore(history, fileRow({ version: event.version, publishedAt: 0 }));
      return restored === undefined ? unchanged : { history: restored, removed: [] };
    }
    case 'restoreTombstone':
      return names.restoreTombstone(history, tombstone(event.version, time, { only: event.only })) ?? unchanged;
  }
}

test('whatever happens, versions ascend, are each there once, and none that went comes back', () => {
  fc.assert(
    fc.property(events, (all) => {
      let history = names.NO_HISTORY;
      for (const [index, event] of all.entries()) {
        const before = history;
        const change = apply(history, event, 1_000 + index);
        history = change.history;
        const numbers = history.versions.map(({ version }) => version);
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
        expect(change.removed.every((row) => before.versions.includes(row) && !history.versions.includes(row))).toBe(
          true,
        );
        for (const row of change.removed) expect(names.restore(history, row)).toBeUndefined();
        if (event.kind === 'publish') {
          expect(numbers.length).toBeLessThanOrEqual(event.keep);
          expect(names.currentOf(history)?.id).toBe(idOf(`${event.content}`));
        }
      }
    }),
  );
});

test('a new version has a number that no version or tombstone has had', () => {
  fc.assert(
    fc.property(events, (all) => {
      let history = names.NO_HISTORY;
      let highest = 0;
      for (const [index, event] of all.entries()) {
        history = apply(history, event, 1_000 + index).history;
        highest = Math.max(highest, ...history.versions.map(({ version }) => version));
      }
      expect(names.numberFor(history, idOf('new'))).toBeGreaterThan(highest);
    }),
  );
});

test('a name that is put and removed all day does not grow', () => {
  let history = names.NO_HISTORY;
  for (let time = 1; time <= 1_000; time += 1) {
    const row = fileRow({ version: names.numberFor(history, fileRow().id), publishedAt: time });
    history = names.publish(history, row, 10).history;
    history = names.removeOne(history, tombstoneOf(row, { removedAt: time })).history;
  }
  expect(history.versions).toEqual([]);
  expect(history.gone.length).toBeLessThan(100);
  expect(names.numberFor(history, 'any')).toBe(1_001);
});

test('what is removed stays removed when clocks disagree', () => {
  const late = fileRow({ publishedAt: 9_000 });
  const history = { versions: [late], gone: [] };
  for (const change of [names.removeAll(history, tombstone(1, 10)), names.removeOne(history, tombstone(1, 10))]) {
    expect(names.restore(change.history, late)).toBeUndefined();
  }
  const displaced = names.publish(history, fileRow({ id: idOf('b'), version: 2, publishedAt: 10 }), 1);
  expect(names.restore(displaced.history, late)).toBeUndefined();
});
