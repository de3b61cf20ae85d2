import { BufferPool } from '../wire/buffer-pool.js';

/**
 * A pool that spoils what is given back at once. Bytes that are used after that are wrong, which the digests of chunks
 * show: on the disk, or at the peer that they were sent to.
 */
export class SpoilingPool extends BufferPool {
  readonly #lent = new WeakMap<ArrayBufferLike, Buffer>();
  #spoiltBytes = 0;

  /** Bytes spoilt so far. */
  get spoiltBytes(): number {
    return this.#spoiltBytes;
  }

  override take(bytes: number): Buffer {
    const buffer = super.take(bytes);
    // Small ones share their memory with whatever else Node has there.
    if (buffer.buffer.byteLength < 2 * bytes) this.#lent.set(buffer.buffer, buffer);
    return buffer;
  }

  override give(buffer: Buffer): void {
    const spoilt = this.#lent.get(buffer.buffer) ?? buffer;
    spoilt.fill(0xdb);
    this.#spoiltBytes += spoilt.length;
    super.give(buffer);
  }
}
