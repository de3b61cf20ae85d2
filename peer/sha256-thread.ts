import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { createRing, RingFiller, type RingMemory } from './block-ring.js';

/*
 * SHA-256 takes most of the time of a put, and cannot be divided: a block depends on the one before. So it has a thread
 * of its own, which hashes a block while the hash worker digests and writes it, and reads the next ones.
 */

/** Of a thread that hashes: it makes little garbage, since it works in buffers of its own. */
export const HASH_THREAD_LIMITS = { maxYoungGenerationSizeMb: 2 };

/** What the thread is started with. Blocks are tagged with the stream that they belong to; an empty one ends it. */
export interface Sha256ThreadData {
  readonly ring: RingMemory;
}

/** From the thread, when a stream ended. */
export interface Sha256Reply {
  readonly stream: number;
  readonly sha256: string;
}

/** SHA-256 of blocks in a row. */
export interface Sha256Stream {
  /**
   * Has `fill` fill the beginning of a block, hashes as many bytes as it returns, of which there must be some, perhaps after
   * this has resolved, and shows them to `use` meanwhile. Rejects with what one of the two throws.
   */
  take(fill: (block: Buffer) => number, use: (bytes: Buffer) => void): Promise<void>;
  /** Resolves to the SHA-256 of all, in lower-case hex. To be called in any case, once, last. */
  end(): Promise<string>;
}

/** On the calling thread, in a block that streams may share: both are over with it before another begins. */
export function sha256Here(block: Buffer): Sha256Stream {
  const hash = createHash('sha256');
  return {
    take: async (fill, use) => {
      const bytes = block.subarray(0, fill(block));
      hash.update(bytes);
      use(bytes);
    },
    end: async () => hash.digest('hex'),
  };
}

/**
 * The thread, started when it is first needed. Streams share its few blocks. What makes it fail is not handled here: it
 * ends the hash worker, whose jobs fail then.
 */
export class Sha256Thread {
  #ring: RingFiller | undefined;
  readonly #ends = new Map<number, (sha256: string) => void>();
  #lastStream = 0;

  /** Begins to hash. */
  stream(): Sha256Stream {
    this.#ring ??= this.#start();
    const ring = this.#ring;
    this.#lastStream += 1;
    const stream = this.#lastStream;
    return {
      take: (fill, use) => ring.put(stream, fill, use),
      end: async () => {
        const sha256 = new Promise<string>((resolve) => {
          this.#ends.set(stream, resolve);
        });
        await ring.put(stream, () => 0);
        return await sha256;
      },
    };
  }

  #start(): RingFiller {
    const ring = createRing();
    const worker = new Worker(new URL('./sha256-worker.js', import.meta.url), {
      resourceLimits: HASH_THREAD_LIMITS,
      workerData: { ring } satisfies Sha256ThreadData,
    });
    worker.on('message', ({ stream, sha256 }: Sha256Reply) => {
      this.#ends.get(stream)?.(sha256);
      this.#ends.delete(stream);
    });
    return new RingFiller(ring);
  }
}
