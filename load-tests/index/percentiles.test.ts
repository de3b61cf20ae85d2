import fc from 'fast-check';
import { percentilesOf } from './percentiles.js';

test('takes the nearest rank, whatever the order', () => {
  const times = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(percentilesOf(times)).toEqual({ count: 200, p50: 100, p99: 198, max: 200 });
});

test('of few times, p99 is the largest', () => {
  expect(percentilesOf([3, 1, 2])).toEqual({ count: 3, p50: 2, p99: 3, max: 3 });
});

test('has at least that share of all times at or below each', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 }), (times) => {
      const { p50, p99, max } = percentilesOf(times);
      const share = (limit: number) => times.filter((time) => time <= limit).length / times.length;
      expect(share(p50)).toBeGreaterThanOrEqual(0.5);
      expect(share(p99)).toBeGreaterThanOrEqual(0.99);
      expect(share(max)).toBe(1);
      expect(times).toContain(p99);
    }),
  );
});

test('refuses to make a figure of nothing', () => {
  expect(() => percentilesOf([])).toThrow(RangeError);
});
