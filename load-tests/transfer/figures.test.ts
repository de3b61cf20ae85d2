import fc from 'fast-check';
import { formatFileSize, formatMiB, formatSpread, markdownTable, spreadOf } from './figures.js';

describe('spreadOf', () => {
  test('takes the middle one of an odd number, whatever the order', () => {
    expect(spreadOf([30, 1, 2])).toEqual({ median: 2, min: 1, max: 30 });
  });

  test('takes the mean of the two middle ones of an even number', () => {
    expect(spreadOf([4, 1, 2, 9])).toEqual({ median: 3, min: 1, max: 9 });
  });

  test('has as many figures below the median as above it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (figures) => {
        const { median, min, max } = spreadOf(figures);
        const below = figures.filter((figure) => figure < median).length;
        const above = figures.filter((figure) => figure > median).length;
        expect(Math.max(below, above)).toBeLessThanOrEqual(figures.length / 2);
        expect(min).toBeLessThanOrEqual(median);
        expect(max).toBeGreaterThanOrEqual(median);
      }),
    );
  });

  test('refuses to make a figure of nothing', () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});

describe('formats', () => {
  test('shows the single runs beside the median', () => {
    expect(formatSpread(spreadOf([1.234, 2, 3]), 1)).toBe('2.0 (1.2-3.0)');
  });

  test('shows one run as it is', () => {
    expect(formatSpread(spreadOf([1.26]), 1)).toBe('1.3');
  });

  test('writes sizes in units of 1,024', () => {
    expect([formatFileSize(2 ** 30), formatFileSize(4 * 2 ** 30), formatFileSize(64 * 2 ** 20)]).toEqual([
      '1 GiB',
      '4 GiB',
      '64 MiB',
    ]);
    expect(formatMiB(1.6 * 2 ** 20)).toBe('2 MiB');
  });

  test('makes a Markdown table', () => {
    expect(
      markdownTable([
        ['', 's'],
        ['put', '1'],
      ]),
    ).toBe('|  | s |\n| --- | ---: |\n| put | 1 |');
  });
});
