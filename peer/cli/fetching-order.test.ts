import fc from 'fast-check';
import { SMALL_FILE_BYTES } from '../small-files.js';
import { inFetchingOrder, isLarge } from './fetching-order.js';

const sizes = fc.array(fc.constantFrom(0, SMALL_FILE_BYTES, SMALL_FILE_BYTES + 1, 1e9), { maxLength: 40 });
const randoms = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));

function set(sizesOfFiles: readonly number[]) {
  return sizesOfFiles.map((size, number) => ({ number, size }));
}

describe('the order of fetching', () => {
  it('has every file once, the large ones in the order given', () => {
    fc.assert(
      fc.property(sizes, randoms, (some, random) => {
        const files = set(some);
        const ordered = inFetchingOrder(files, () => random.next().value as number);
        expect([...ordered].sort((a, b) => a.number - b.number)).toEqual(files);
        expect(ordered.filter(isLarge)).toEqual(files.filter(isLarge));
      }),
    );
  });

  it('is another one for each peer, of small files and of where large ones are among them', () => {
    const files = set(Array.from({ length: 40 }, (_, i) => (i < 20 ? 1 : 1e9)));
    const [here, there] = [inFetchingOrder(files), inFetchingOrder(files)];
    expect(here.map(({ number }) => number)).not.toEqual(there.map(({ number }) => number));
    expect(here.map(isLarge)).not.toEqual(files.map(isLarge));
  });
});
