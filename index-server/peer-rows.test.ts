import fc from 'fast-check';
import { PeerRows } from './peer-rows.js';
import { peerRow } from './testing/catalog-rows.js';

const names = (rows: PeerRows) => rows.list.map(({ name }) => name);

describe('the rows of peers', () => {
  let rows: PeerRows;
  const read = (...list: ReturnType<typeof peerRow>[]) => rows.endRead(rows.beginRead(), list);
  beforeEach(() => {
    rows = new PeerRows();
  });

  test('are those that were read, and what was noted since', () => {
    read(peerRow({ name: 'b' }), peerRow({ name: 'd' }));
    for (const name of ['c', 'a', 'e']) rows.note(peerRow({ name }));
    rows.note(peerRow({ name: 'b', leaseUntil: 20_000 }));
    expect(names(rows)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(rows.list[1]?.leaseUntil).toBe(20_000);
    read(peerRow({ name: 'b', leaseUntil: 30_000 }));
    expect(rows.list).toEqual([peerRow({ name: 'b', leaseUntil: 30_000 })]);
  });

  test('keep what was noted while they were read', () => {
    const began = rows.beginRead();
    rows.note(peerRow({ name: 'a', state: 'draining' }));
    rows.note(peerRow({ name: 'c' }));
    rows.endRead(began, [peerRow({ name: 'a' }), peerRow({ name: 'b' })]);
    expect(names(rows)).toEqual(['a', 'b', 'c']);
    expect(rows.list[0]?.state).toBe('draining');
  });

  test('are not those of an earlier read that ended later, nor of one that failed', () => {
    const [early, late, failed] = [rows.beginRead(), rows.beginRead(), rows.beginRead()];
    rows.endRead(late, [peerRow({ name: 'late' })]);
    rows.endRead(early, [peerRow({ name: 'early' })]);
    rows.endRead(failed, undefined);
    expect(names(rows)).toEqual(['late']);
  });

  test('have a version that changes with who is there, not with every heartbeat', () => {
    read(peerRow());
    const changes = [
      [peerRow({ leaseUntil: 11_000, files: 9 }), false],
      [peerRow({ leaseUntil: 11_000, state: 'draining' }), true],
      [peerRow({ leaseUntil: 12_000, state: 'draining', incarnation: 'incarnation-2' }), true],
      [peerRow({ leaseUntil: 12_000, state: 'draining', incarnation: 'incarnation-2', address: 'moved:1' }), true],
      [peerRow({ name: 'another' }), true],
    ] as const;
    for (const [row, isChange] of changes) {
      const before = rows.version;
      rows.note(row);
      expect(rows.version !== before).toBe(isChange);
    }
  });

  test('take no earlier process for the later one of the same name', () => {
    rows.note(peerRow({ incarnation: 'incarnation-2', leaseUntil: 11_000 }));
    rows.note(peerRow({ incarnation: 'incarnation-1', leaseUntil: 10_000 }));
    expect(rows.list[0]?.incarnation).toBe('incarnation-2');
    rows.note(peerRow({ incarnation: 'incarnation-2', leaseUntil: 11_000, state: 'withdrawn' }));
    expect(rows.list[0]?.state).toBe('withdrawn');
  });

  test('stay in order of name, and a list that was given out stays as it is', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-c]{1,3}$/)), (noted) => {
        const fresh = new PeerRows();
        for (const name of noted) {
          const before = fresh.list;
          const copy = [...before];
          fresh.note(peerRow({ name }));
          expect(before).toEqual(copy);
        }
        expect(names(fresh)).toEqual([...new Set(noted)].sort());
      }),
    );
  });
});
