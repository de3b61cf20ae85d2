import { ExpiringCache } from './expiring-cache.js';

describe('an expiring cache', () => {
  test('forgets values at their end', () => {
    const cache = new ExpiringCache<number>(10);
    cache.set('a', 1, 100);
    expect(cache.get('a', 99)).toBe(1);
    expect(cache.get('a', 100)).toBeUndefined();
    expect(cache.get('a', 99)).toBeUndefined();
  });

  test('lets the least recently used go first', () => {
    const cache = new ExpiringCache<number>(2);
    cache.set('a', 1, 100);
    cache.set('b', 2, 100);
    cache.get('a', 0);
    cache.set('c', 3, 100);
    expect(['a', 'b', 'c'].map((key) => cache.get(key, 0))).toEqual([1, undefined, 3]);
  });
});
