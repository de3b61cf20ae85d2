import { contentOf, manifestOf } from '../testing/stores.js';
import { ManifestCache } from './manifest-cache.js';

const manifests = [1, 2, 3].map((seed) => manifestOf(contentOf(10, seed)));
const [first, second, third] = manifests as [(typeof manifests)[0], (typeof manifests)[0], (typeof manifests)[0]];

describe('the cache of manifests', () => {
  it('keeps those that were used last', () => {
    const cache = new ManifestCache({ capacityBytes: 2 * first.encoded.length });
    const loaded: string[] = [];
    const get = (manifest: typeof first): unknown =>
      cache.get(manifest.id, () => {
        loaded.push(manifest.id);
        return manifest;
      });
    for (const manifest of [first, second, first, third, first, second]) expect(get(manifest)).toBe(manifest);
    expect(loaded).toEqual([first.id, second.id, third.id, second.id]);
    cache.delete(second.id);
    get(second);
    expect(loaded.length).toBe(5);
  });

  it('keeps the last one even when it is too large', () => {
    const cache = new ManifestCache({ capacityBytes: 1 });
    cache.put(first);
    expect(cache.get(first.id, () => second)).toBe(first);
  });

  it('passes on why one cannot be loaded', () => {
    const cache = new ManifestCache({ capacityBytes: 1 });
    const load = (): never => {
      throw new Error('gone');
    };
    expect(() => cache.get('x', load)).toThrow('gone');
  });
});
