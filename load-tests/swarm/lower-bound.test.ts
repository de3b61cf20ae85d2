import { lowerBoundSeconds } from './lower-bound.js';

describe('the lower bound', () => {
  it.each([
    ['the first holder must send one copy', 8_000_000, [8, 80, 80], 8],
    ['the slowest must receive one', 8_000_000, [80, 80, 8], 8],
    ['all uplinks together must carry all copies', 9_000_000, [24, 12, 12], 3 * 2],
  ])('%s', (_, bytes, mbits, seconds) => {
    expect(lowerBoundSeconds(bytes, mbits)).toBe(seconds);
  });

  it('of 64 MiB at 100 Mbit/s is the time of one copy', () => {
    expect(lowerBoundSeconds(64 * 2 ** 20, [100, 100, 100, 100, 100])).toBeCloseTo(5.369, 3);
  });

  it('needs somebody to send to', () => {
    expect(() => lowerBoundSeconds(1, [100])).toThrow(RangeError);
  });
});
