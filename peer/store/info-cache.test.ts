import { contentOf, manifestOf } from '../testing/stores.js';
import { InfoCache } from './info-cache.js';
import type { FileInfo } from './info-file.js';

function infoOf(seed: number, records: readonly string[] = []): FileInfo {
  const manifest = manifestOf(contentOf(10, seed));
  return { manifest, isComplete: true, sha256: undefined, isHashedHere: false, records, isDamaged: false };
}

const [first, second, third] = [infoOf(1), infoOf(2), infoOf(3)] as const;
const idOf = (info: FileInfo) => info.manifest.id;
/** Room for two files without records, and not for three. */
const TWO = 1500;

describe('the cache of what is noted about files', () => {
  it('keeps what was used last', () => {
    const cache = new InfoCache({ capacityBytes: TWO });
    const loaded: FileInfo[] = [];
    const get = (info: FileInfo): unknown =>
      cache.get(idOf(info), () => {
        loaded.push(info);
        return info;
      });
    for (const info of [first, second, first, third, first, second]) expect(get(info)).toBe(info);
    expect(loaded).toEqual([first, second, third, second]);
    cache.delete(idOf(second));
    expect([first, second, third].map((info) => cache.has(idOf(info)))).toEqual([true, false, false]);
    get(second);
    expect(loaded.length).toBe(5);
  });

  it('counts records too, and what took the place of something else once', () => {
    const cache = new InfoCache({ capacityBytes: TWO });
    cache.put(first);
    cache.put(infoOf(2, ['r'.repeat(1000)]));
    expect(cache.has(idOf(first))).toBe(false);
    cache.put(second);
    cache.put(first);
    expect(cache.has(idOf(second))).toBe(true);
  });

  it('keeps the last one even when it is too large', () => {
    const cache = new InfoCache({ capacityBytes: 1 });
    cache.put(first);
    expect(cache.get(idOf(first), () => second)).toBe(first);
  });

  it('passes on why one cannot be loaded', () => {
    const cache = new InfoCache({ capacityBytes: 1 });
    const load = (): never => {
      throw new Error('gone');
    };
    expect(() => cache.get('x', load)).toThrow('gone');
  });
});
