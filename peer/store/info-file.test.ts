import fc from 'fast-check';
import { contentOf, manifestOf } from '../testing/stores.js';
import { decodeInfo, encodeInfo, type FileInfo } from './info-file.js';

const manifest = manifestOf(contentOf(70_000, 1));

const info: fc.Arbitrary<FileInfo> = fc.record({
  manifest: fc.constant(manifest),
  isComplete: fc.boolean(),
  sha256: fc.option(fc.string(), { nil: undefined }),
  isHashedHere: fc.boolean(),
  records: fc.array(fc.string({ unit: 'grapheme' })),
  isDamaged: fc.boolean(),
});

describe('the info file', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(info, (before) => {
        const after = decodeInfo(encodeInfo(before), manifest.id);
        expect({ ...after, manifest: after.manifest.id }).toEqual({ ...before, manifest: manifest.id });
      }),
    );
  });

  it('is refused when any byte is changed or cut off', () => {
    fc.assert(
      fc.property(info, fc.nat(), fc.integer({ min: 1, max: 255 }), (before, where, change) => {
        const bytes = encodeInfo(before);
        const at = where % bytes.length;
        const mutated = Buffer.from(bytes);
        mutated[at] = (mutated[at] ?? 0) ^ change;
        for (const damaged of [mutated, bytes.subarray(0, at), Buffer.concat([bytes, Buffer.of(change)])]) {
          expect(() => decodeInfo(damaged, manifest.id)).toThrow(expect.objectContaining({ code: 'corrupt' }));
        }
      }),
    );
  });

  it('is refused under the name of another file', () => {
    const notes = { sha256: undefined, isHashedHere: false, records: [], isDamaged: false };
    const bytes = encodeInfo({ manifest, isComplete: true, ...notes });
    expect(() => decodeInfo(bytes, manifestOf(Buffer.of(1)).id)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});
