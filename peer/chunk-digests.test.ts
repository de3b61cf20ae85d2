import { ChunkDigests } from './chunk-digests.js';
import { digestsOf } from './manifest.js';
import { contentOf, manifestOf } from './testing/stores.js';

const KIB = 1024;

function digestsIn(content: Buffer, blockBytes: number): Buffer {
  const digests = new ChunkDigests(content.length, blockBytes);
  for (let at = 0; at < content.length; at += digests.pieceBytes) {
    digests.add(content.subarray(at, at + digests.pieceBytes), at);
  }
  return digests.all;
}

describe('digests of chunks that come in pieces', () => {
  // Chunks of 64 KiB.
  it.each([0, 1, 64 * KIB, 64 * KIB + 1, 200 * KIB])('are those of the manifest of %d bytes', (size) => {
    const content = contentOf(size, size);
    const expected = Buffer.from(digestsOf(manifestOf(content)));
    for (const blockBytes of [16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB]) {
      expect(digestsIn(content, blockBytes)).toEqual(expected);
    }
  });
});
