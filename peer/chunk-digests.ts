import { Blake3, blake3, chunkBytesFor, chunkCountFor, DIGEST_BYTES } from './manifest.js';

/** BLAKE3 of each chunk of a file that comes in pieces, in order: chunks, or parts of chunks that are longer than a block. */
export class ChunkDigests {
  /** 32 bytes each. */
  readonly all: Buffer;
  /** Of all pieces but the last, which may be shorter. */
  readonly pieceBytes: number;
  readonly #size: number;
  readonly #chunkBytes: number;
  #begun: Blake3 | undefined;

  /** Of a file of `size` bytes, in blocks that begin at multiples of `blockBytes`, a power of two. */
  constructor(size: number, blockBytes: number) {
    this.#size = size;
    this.#chunkBytes = chunkBytesFor(size);
    this.pieceBytes = Math.min(this.#chunkBytes, blockBytes);
    this.all = Buffer.alloc(chunkCountFor(size) * DIGEST_BYTES);
  }

  /** Takes the next piece, which begins at byte `at`. */
  add(piece: Buffer, at: number): void {
    const index = Math.floor(at / this.#chunkBytes);
    const end = Math.min((index + 1) * this.#chunkBytes, this.#size);
    const isLast = at + piece.length === end;
    if (this.#begun === undefined && isLast) {
      blake3(piece).copy(this.all, index * DIGEST_BYTES);
      return;
    }
    this.#begun ??= new Blake3();
    this.#begun.update(piece);
    if (!isLast) return;
    this.#begun.digest().copy(this.all, index * DIGEST_BYTES);
    this.#begun = undefined;
  }
}
