import fc from 'fast-check';
import {
  blake3,
  blake3Of,
  chunkBytesFor,
  chunkCountFor,
  decodeManifest,
  encodeManifest,
  fileIdOf,
  type Manifest,
} from './manifest.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

function manifestOf(size: number, fill = 0x5a): Manifest {
  return encodeManifest({
    size,
    chunkBytes: chunkBytesFor(size),
    digests: Buffer.alloc(chunkCountFor(size) * 32, fill),
  });
}

const anyManifest = fc
  .integer({ min: 0, max: 2 * MIB })
  .chain((size) =>
    fc
      .uint8Array({ minLength: chunkCountFor(size) * 32, maxLength: chunkCountFor(size) * 32 })
      .map((digests) => encodeManifest({ size, chunkBytes: chunkBytesFor(size), digests: Buffer.from(digests) })),
  );

describe('chunk size', () => {
  it.each([
    [0, 64 * KIB],
    [1, 64 * KIB],
    [256 * MIB, 64 * KIB],
    [256 * MIB + 1, 128 * KIB],
    [GIB, 256 * KIB],
    [16 * GIB, 4 * MIB],
    [16 * GIB + 1, 4 * MIB],
    [1024 * GIB, 4 * MIB],
  ])('of a file of %d bytes is %d', (size, chunkBytes) => {
    expect(chunkBytesFor(size)).toBe(chunkBytes);
  });

  it('is the smallest power of two that gives at most 4,096 chunks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 16 * GIB }), (size) => {
        const chunkBytes = chunkBytesFor(size);
        expect(Number.isInteger(Math.log2(chunkBytes))).toBe(true);
        expect(chunkCountFor(size)).toBeLessThanOrEqual(4096);
        if (chunkBytes > 64 * KIB) expect(Math.ceil(size / (chunkBytes / 2))).toBeGreaterThan(4096);
      }),
    );
  });
});

describe('manifest', () => {
  it('has the form that the proto and other programs rely on', () => {
    const digest = blake3(Buffer.from('x'));
    const manifest = encodeManifest({ size: 1, chunkBytes: 64 * KIB, digests: digest });
    expect(manifest.encoded.toString('hex')).toBe(
      `53484f414c01${'0000000000000001'}${'00010000'}${digest.toString('hex')}`,
    );
    expect(manifest.id).toBe(blake3(manifest.encoded).toString('hex'));
  });

  it('of an empty file has no chunks', () => {
    const manifest = manifestOf(0);
    expect(manifest).toMatchObject({ size: 0, chunkCount: 0, chunkBytes: 64 * KIB });
    expect(() => manifest.chunkLength(0)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it.each([
    [1, [1]],
    [64 * KIB - 1, [64 * KIB - 1]],
    [64 * KIB, [64 * KIB]],
    [64 * KIB + 1, [64 * KIB, 1]],
  ])('of %d bytes has chunks of %j', (size, lengths) => {
    const manifest = manifestOf(size);
    expect(Array.from({ length: manifest.chunkCount }, (_, index) => manifest.chunkLength(index))).toEqual(lengths);
  });

  it.each([-1, 1, 0.5, Number.NaN])('refuses chunk number %d of a file that has one chunk', (index) => {
    expect(() => manifestOf(5).digest(index)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it('comes back from its canonical form', () => {
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        const decoded = decodeManifest(Buffer.from(manifest.encoded), manifest.id);
        expect(decoded.id).toBe(manifest.id);
        expect(decoded.size).toBe(manifest.size);
        expect(decoded.encoded.equals(manifest.encoded)).toBe(true);
        const again = encodeManifest({
          size: decoded.size,
          chunkBytes: decoded.chunkBytes,
          digests: Buffer.concat(Array.from({ length: decoded.chunkCount }, (_, index) => decoded.digest(index))),
        });
        expect(again.id).toBe(manifest.id);
      }),
    );
  });

  it('is refused when any byte is changed, cut off or added', () => {
    fc.assert(
      fc.property(anyManifest, fc.nat(), fc.integer({ min: 1, max: 255 }), (manifest, where, change) => {
        const at = where % manifest.encoded.length;
        const mutated = Buffer.from(manifest.encoded);
        mutated[at] = (mutated[at] ?? 0) ^ change;
        for (const bytes of [mutated, mutated.subarray(0, at), Buffer.concat([manifest.encoded, Buffer.of(change)])]) {
          expect(() => decodeManifest(bytes, manifest.id)).toThrow(expect.objectContaining({ code: 'corrupt' }));
        }
      }),
    );
  });

  it('has only one form: another chunk size is refused even under its own id', () => {
    const other = Buffer.from(manifestOf(5).encoded);
    other.writeUInt32BE(128 * KIB, 14);
    expect(() => decodeManifest(other, fileIdOf(other))).toThrow(/chunk size/);
  });

  it('is refused under its own id when the size does not fit the digests or is beyond what can be counted', () => {
    const tooLong = Buffer.from(manifestOf(5).encoded);
    tooLong.writeBigUInt64BE(64n * 1024n + 1n, 6);
    expect(() => decodeManifest(tooLong, fileIdOf(tooLong))).toThrow(/bytes instead of/);
    const huge = Buffer.from(manifestOf(5).encoded);
    huge.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 6);
    expect(() => decodeManifest(huge, fileIdOf(huge))).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });

  it.each([
    { size: -1, chunkBytes: 64 * KIB, digests: Buffer.alloc(0) },
    { size: 1.5, chunkBytes: 64 * KIB, digests: Buffer.alloc(32) },
    { size: 1, chunkBytes: 1 * MIB, digests: Buffer.alloc(32) },
    { size: 1, chunkBytes: 64 * KIB, digests: Buffer.alloc(31) },
    { size: 0, chunkBytes: 64 * KIB, digests: Buffer.alloc(32) },
  ])('is not made of $size bytes in chunks of $chunkBytes with digests $digests.length', (parts) => {
    expect(() => encodeManifest(parts)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('blake3', () => {
  it('gives the digest that its reference gives', () => {
    expect(blake3(Buffer.alloc(0)).toString('hex')).toBe(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    );
  });

  it('of pieces is that of the whole', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 })), (pieces) => {
        expect(blake3Of(pieces)).toEqual(blake3(Buffer.concat(pieces)));
      }),
    );
  });
});
