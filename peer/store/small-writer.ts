import { Deferred } from '../../common/deferred.js';
import type { Hasher } from '../hasher.js';

const BATCH_BYTES = 512 * 1024;
const NO_BYTES = new Uint8Array(0);

/** A small file to write: at `path`, by a rename of `temporary` where something may be there already. */
export interface SmallWrite {
  readonly path: string;
  readonly temporary?: string;
  readonly bytes: Buffer;
}

interface Waiting extends SmallWrite {
  readonly written: Deferred<void>;
}

/**
 * Writes small files on another thread, many at a time: each takes half a dozen calls of the system, and handing each of
 * those to a thread of the pool costs more than the call. What comes while some are written goes together. Makes nothing
 * durable.
 */
export class SmallWriter {
  readonly #hasher: Pick<Hasher, 'write'>;
  #waiting: Waiting[] = [];
  #buffer = NO_BYTES;
  #isWriting = false;

  constructor(deps: { readonly hasher: Pick<Hasher, 'write'> }) {
    this.#hasher = deps.hasher;
  }

  /** Resolves when the bytes stand in the page cache. Of several calls the earlier one is written first. */
  write(file: SmallWrite): Promise<void> {
    const waiting = { ...file, written: new Deferred<void>() };
    this.#waiting.push(waiting);
    if (!this.#isWriting) {
      this.#isWriting = true;
      setImmediate(() => void this.#writeAll());
    }
    return waiting.written.promise;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#writeBatch(this.#takeBatch());
    this.#isWriting = false;
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < BATCH_BYTES) {
      bytes += this.#waiting[count]?.bytes.length ?? 0;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      const files = batch.map(({ path, temporary, bytes }) => ({ path, temporary, length: bytes.length }));
      const { failures, bytes } = await this.#hasher.write({ bytes: this.#joined(batch), files });
      this.#buffer = bytes;
      batch.forEach(({ written }, at) => {
        const failure = failures.get(at);
        if (failure === undefined) written.resolve();
        else written.reject(failure);
      });
    } catch (error) {
      for (const { written } of batch) written.reject(error as Error);
    }
  }

  /** The bytes of all, in memory that goes to the other thread and comes back. */
  #joined(batch: readonly SmallWrite[]): Uint8Array<ArrayBuffer> {
    const length = batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const joined = this.#buffer.length < length ? new Uint8Array(2 * length) : this.#buffer;
    // Until it is back there is none.
    this.#buffer = NO_BYTES;
    let at = 0;
    for (const { bytes } of batch) {
      joined.set(bytes, at);
      at += bytes.length;
    }
    return joined;
  }
}
