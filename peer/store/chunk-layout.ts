import { ShoalError } from '../../common/errors.js';
import { blake3Of, chunkBytesFor, chunkCountFor, type Manifest } from '../manifest.js';

/** Where the chunks of one file lie. What does not lie within it is refused with `invalid`. */
export class ChunkLayout {
  readonly id: string;
  readonly size: number;

  constructor(id: string, size: number) {
    this.id = id;
    this.size = size;
  }

  /** Bytes of each chunk but the last. Not kept: there is one of these for each file of the store. */
  get chunkBytes(): number {
    return chunkBytesFor(this.size);
  }

  /** Bytes of a chunk. */
  lengthOf(index: number): number {
    if (!isCount(index) || index >= chunkCountFor(this.size)) {
      throw new ShoalError('invalid', `file ${this.id} has no chunk ${index}`);
    }
    return Math.min(this.chunkBytes, this.size - index * this.chunkBytes);
  }

  /** Bytes of some chunks together. */
  bytesOf(chunks: readonly number[]): number {
    return chunks.reduce((sum, index) => sum + this.lengthOf(index), 0);
  }

  /** Where in the file a part of a chunk begins. */
  positionOf(index: number, offset: number, length: number): number {
    const chunkLength = this.lengthOf(index);
    if (!isCount(offset) || !isCount(length) || offset + length > chunkLength) {
      throw new ShoalError(
        'invalid',
        `chunk ${index} of ${this.id} has ${chunkLength} bytes, not ${length} from ${offset}`,
      );
    }
    return index * this.chunkBytes + offset;
  }

  /** The parts of chunks that make up a range of the file, in order, each at most `maxBytes`. */
  *partsOf(
    range: { readonly offset: number; readonly length: number },
    maxBytes: number,
  ): Generator<{ readonly index: number; readonly offset: number; readonly length: number }> {
    const { offset, length } = range;
    const end = offset + length;
    if (!isCount(offset) || !isCount(length) || end > this.size) {
      throw new ShoalError('invalid', `file ${this.id} has ${this.size} bytes, not ${length} from ${offset}`);
    }
    const { chunkBytes } = this;
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / chunkBytes);
      const start = at - index * chunkBytes;
      const part = { index, offset: start, length: Math.min(maxBytes, this.lengthOf(index) - start, end - at) };
      yield part;
      at += part.length;
    }
  }
}

/** Throws `corrupt` unless the pieces in a row are the chunk that the manifest names. */
export function verifyChunk(manifest: Manifest, index: number, pieces: readonly Buffer[]): void {
  const expected = manifest.chunkLength(index);
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (length !== expected) {
    throw new ShoalError('corrupt', `chunk ${index} of ${manifest.id} has ${length} bytes instead of ${expected}`);
  }
  if (!blake3Of(pieces).equals(manifest.digest(index))) {
    throw new ShoalError('corrupt', `chunk ${index} of ${manifest.id} does not have the bytes that its digest names`);
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
