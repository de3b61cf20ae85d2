import fc from 'fast-check';
import { parseRange } from './range.js';

describe('a Range header', () => {
  it.each([
    ['bytes=0-0', 10, { kind: 'part', first: 0, last: 0 }],
    ['bytes=2-5', 10, { kind: 'part', first: 2, last: 5 }],
    ['bytes=2-', 10, { kind: 'part', first: 2, last: 9 }],
    ['bytes=2-99999999999999999999', 10, { kind: 'part', first: 2, last: 9 }],
    ['bytes=-3', 10, { kind: 'part', first: 7, last: 9 }],
    ['bytes=-30', 10, { kind: 'part', first: 0, last: 9 }],
    ['Bytes= 1-2 ', 10, { kind: 'part', first: 1, last: 2 }],
    ['bytes=10-', 10, { kind: 'unsatisfiable' }],
    ['bytes=-0', 10, { kind: 'unsatisfiable' }],
    ['bytes=0-', 0, { kind: 'unsatisfiable' }],
    ['bytes=-5', 0, { kind: 'whole' }],
    ['bytes=5-2', 10, { kind: 'whole' }],
    ['bytes=-', 10, { kind: 'whole' }],
    ['bytes=0-1,3-4', 10, { kind: 'whole' }],
    ['items=0-1', 10, { kind: 'whole' }],
    ['bytes=0x1-2', 10, { kind: 'whole' }],
    [undefined, 10, { kind: 'whole' }],
  ])('%s of %d bytes is %o', (header, size, expected) => {
    expect(parseRange(header, size)).toEqual(expected);
  });

  it('never leads out of the file, whatever it says', () => {
    const header = fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,20}-\d{0,20}$/));
    fc.assert(
      fc.property(header, fc.nat(), (text, size) => {
        const answer = parseRange(text, size);
        if (answer.kind !== 'part') return;
        expect(answer.first).toBeGreaterThanOrEqual(0);
        expect(answer.first).toBeLessThanOrEqual(answer.last);
        expect(answer.last).toBeLessThan(size);
      }),
    );
  });

  it('gives exactly what was asked for when that is there', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (first, more, beyond) => {
        const last = first + more;
        expect(parseRange(`bytes=${first}-${last}`, last + 1 + beyond)).toEqual({ kind: 'part', first, last });
      }),
    );
  });
});
