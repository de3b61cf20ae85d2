import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';

/*
 * SHA-256 takes most of the time of a put, and cannot be divided: a block depends on the one before. So it has a thread
 * of its own, which hashes a block while the hash worker reads, digests and writes the next ones.
 */

/** Bytes of a block: small, so that it is in a cache of the processor when the next thread wants it. */
export const BLOCK_BYTES = 1024 * 1024;
/** One that is hashed, one that waits to be, one that is being filled. */
const BLOCKS = 3;
/** Of a thread that hashes: it makes little garbage, since it works in buffers of its own. */
export const HASH_THREAD_LIMITS = { maxYoungGenerationSizeMb: 2 };

/** To the thread. Blocks are lent, and come back with the reply. */
export type Sha256Request =
  | { readonly type: 'block'; readonly id: number; readonly block: Uint8Array<ArrayBuffer>; readonly length: number }
  | { readonly type: 'end'; readonly id: number };

/** From the thread, in the order of the requests. */
export type Sha256Reply =
  | { readonly type: 'block'; readonly block: Uint8Array<ArrayBuffer> }
  | { readonly type: 'end'; readonly id: number; readonly sha256: string };

/** SHA-256 of blocks in a row. */
export interface Sha256Stream {
  /**
   * Has `fill` fill the beginning of a block, and hashes as many bytes as it returns, perhaps after this has resolved.
   * Rejects with what `fill` throws.
   */
  take(fill: (block: Buffer) => number): Promise<void>;
  /** Resolves to the SHA-256 of all, in lower-case hex. To be called in any case, once, last. */
  end(): Promise<string>;
}

/** On the calling thread, in a block that streams may share: `fill` is over before another begins. */
export function sha256Here(block: Buffer): Sha256Stream {
  const hash = createHash('sha256');
  return {
    take: async (fill) => {
      hash.update(block.subarray(0, fill(block)));
    },
    end: async () => hash.digest('hex'),
  };
}

/**
 * The thread, started when it is first needed. Streams share its few blocks, in turn. What makes it fail is not handled
 * here: it ends the hash worker, whose jobs fail then.
 */
export class Sha256Thread {
  #worker: Worker | undefined;
  readonly #free: Uint8Array<ArrayBuffer>[] = Array.from({ length: BLOCKS }, () => new Uint8Array(BLOCK_BYTES));
  readonly #waiting: ((block: Uint8Array<ArrayBuffer>) => void)[] = [];
  readonly #ends = new Map<number, (sha256: string) => void>();
  #lastId = 0;

  /** Begins to hash. */
  stream(): Sha256Stream {
    const worker = this.#started();
    this.#lastId += 1;
    const id = this.#lastId;
    const post = (request: Sha256Request, lent: readonly ArrayBuffer[]): void => worker.postMessage(request, lent);
    return {
      take: async (fill) => {
        const block = await this.#block();
        let length: number;
        try {
          length = fill(Buffer.from(block.buffer));
        } catch (error) {
          this.#giveBack(block);
          throw error;
        }
        post({ type: 'block', id, block, length }, [block.buffer]);
      },
      end: () =>
        new Promise((resolve) => {
          this.#ends.set(id, resolve);
          post({ type: 'end', id }, []);
        }),
    };
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(new URL('./sha256-worker.js', import.meta.url), {
      resourceLimits: HASH_THREAD_LIMITS,
    });
    worker.on('message', (reply: Sha256Reply) => {
      if (reply.type === 'block') {
        this.#giveBack(reply.block);
        return;
      }
      this.#ends.get(reply.id)?.(reply.sha256);
      this.#ends.delete(reply.id);
    });
    this.#worker = worker;
    return worker;
  }

  async #block(): Promise<Uint8Array<ArrayBuffer>> {
    return (
      this.#free.pop() ??
      (await new Promise<Uint8Array<ArrayBuffer>>((resolve) => {
        this.#waiting.push(resolve);
      }))
    );
  }

  #giveBack(block: Uint8Array<ArrayBuffer>): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(block);
    else next(block);
  }
}
