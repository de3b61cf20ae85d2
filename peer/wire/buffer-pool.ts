/** Sizes are rounded up to a multiple of this, a page, so that chunks of one file share buffers, headers included. */
const STEP_BYTES = 4 * 1024;
/** Smaller ones come from Node's own pool. */
const LEAST_BYTES = 32 * 1024;

/**
 * Large buffers, used again and again: a gigabyte in chunks would otherwise be thousands of allocations outside the heap,
 * whose collection costs more than moving the bytes.
 */
export class BufferPool {
  readonly #keepBytes: number;
  /** By size; the size that was given back last is the last. */
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #lent = new WeakSet<ArrayBuffer>();
  #freeBytes = 0;

  /** `keepBytes` is how much may lie unused. */
  constructor(options: { readonly keepBytes: number }) {
    this.#keepBytes = options.keepBytes;
  }

  /** A buffer with so many bytes of anything. One that is never given back is collected like any other. */
  take(bytes: number): Buffer {
    if (bytes < LEAST_BYTES) return Buffer.allocUnsafe(bytes);
    const size = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    const memory = this.#reuse(size) ?? newMemory(size);
    this.#lent.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  /**
   * Takes a buffer back, or any part of it: nobody may use it from now on. What is not from here, or was given back
   * before, is left alone.
   */
  give(buffer: Buffer): void {
    const memory = buffer.buffer;
    if (!(memory instanceof ArrayBuffer) || !this.#lent.delete(memory)) return;
    const size = memory.byteLength;
    if (size > this.#keepBytes) return;
    while (this.#freeBytes + size > this.#keepBytes) this.#dropOldest();
    this.#freeBytes += size;
    const free = this.#free.get(size) ?? [];
    free.push(memory);
    this.#free.delete(size);
    this.#free.set(size, free);
  }

  #reuse(size: number): ArrayBuffer | undefined {
    const memory = this.#free.get(size)?.pop();
    if (memory !== undefined) this.#freeBytes -= size;
    return memory;
  }

  /** Makes room at the cost of the size that was of no use for longest: other files have chunks of other sizes. */
  #dropOldest(): void {
    for (const [size, free] of this.#free) {
      if (free.pop() !== undefined) {
        this.#freeBytes -= size;
        return;
      }
      this.#free.delete(size);
    }
  }
}

/** Not zeroed, unlike `new ArrayBuffer`. */
function newMemory(size: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(size).buffer as ArrayBuffer;
}
