/*
 * Blocks of memory that two threads share: one fills them, the other takes them, in the same order. Who takes sleeps in the
 * kernel meanwhile, not in an event loop: a message to it would take longer than a small block.
 *
 * The state counts the blocks that were ever filled and ever given back, modulo 2^32; they differ by at most the number of
 * blocks. Then, for each block, there is a tag and its length.
 */

/** Bytes of a block: small, so that it is in a cache of the processor when the next thread wants it. */
export const BLOCK_BYTES = 1024 * 1024;
/** One that is taken and three that wait to be, for as long as who fills them is held up by a disk. A power of two. */
const BLOCKS = 4;

const FILLED = 0;
const GIVEN_BACK = 1;
const COUNTS = 2;

/** What both threads have of a ring. */
export interface RingMemory {
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** A block as it comes out of a ring. `bytes` are to be left alone once the block was given back. */
export interface RingBlock {
  readonly tag: number;
  readonly bytes: Buffer;
}

/** The memory of a ring that is empty. */
export function createRing(): RingMemory {
  return {
    state: new Int32Array(new SharedArrayBuffer(4 * (COUNTS + 2 * BLOCKS))),
    bytes: new Uint8Array(new SharedArrayBuffer(BLOCKS * BLOCK_BYTES)),
  };
}

/** The end of a ring where blocks are filled: one for each ring. */
export class RingFiller {
  readonly #state: RingMemory['state'];
  readonly #blocks: readonly Buffer[];
  #filled: number;

  constructor(memory: RingMemory) {
    this.#state = memory.state;
    this.#blocks = blocksOf(memory);
    this.#filled = Atomics.load(this.#state, FILLED);
  }

  /**
   * Waits for a block, has `fill` write the beginning of it, sends off as many bytes as that returned, and shows them to
   * `use`, which may look at them while they are taken. Several callers wait in no particular order. Rejects with what one of the
   * two throws; when that was `fill`, nothing is sent.
   */
  async put(tag: number, fill: (block: Buffer) => number, use?: (bytes: Buffer) => void): Promise<void> {
    let at = this.#freeBlock();
    while (at === undefined) {
      await this.#changed();
      at = this.#freeBlock();
    }
    const block = this.#blocks[at] as Buffer;
    const length = fill(block);
    this.#state[COUNTS + 2 * at] = tag;
    this.#state[COUNTS + 2 * at + 1] = length;
    this.#filled = (this.#filled + 1) | 0;
    Atomics.store(this.#state, FILLED, this.#filled);
    Atomics.notify(this.#state, FILLED);
    use?.(block.subarray(0, length));
  }

  #freeBlock(): number | undefined {
    const inUse = (this.#filled - Atomics.load(this.#state, GIVEN_BACK)) | 0;
    return inUse < BLOCKS ? this.#filled & (BLOCKS - 1) : undefined;
  }

  /** Resolves when blocks were given back since all were in use. */
  async #changed(): Promise<void> {
    const whenFull = (this.#filled - BLOCKS) | 0;
    const wait = Atomics.waitAsync(this.#state, GIVEN_BACK, whenFull);
    if (wait.async) await wait.value;
  }
}

/** The end of a ring where blocks are taken: one for each ring. */
export class RingTaker {
  readonly #state: RingMemory['state'];
  readonly #blocks: readonly Buffer[];
  #taken: number;

  constructor(memory: RingMemory) {
    this.#state = memory.state;
    this.#blocks = blocksOf(memory);
    this.#taken = Atomics.load(this.#state, GIVEN_BACK);
  }

  /** The oldest block that was not given back. Holds the thread up until there is one. */
  next(): RingBlock {
    while (Atomics.load(this.#state, FILLED) === this.#taken) Atomics.wait(this.#state, FILLED, this.#taken);
    const at = this.#taken & (BLOCKS - 1);
    const tag = this.#state[COUNTS + 2 * at] as number;
    const length = this.#state[COUNTS + 2 * at + 1] as number;
    return { tag, bytes: (this.#blocks[at] as Buffer).subarray(0, length) };
  }

  /** Gives back what {@link next} returned: it may be filled again. */
  giveBack(): void {
    this.#taken = (this.#taken + 1) | 0;
    Atomics.store(this.#state, GIVEN_BACK, this.#taken);
    Atomics.notify(this.#state, GIVEN_BACK);
  }
}

function blocksOf({ bytes }: RingMemory): readonly Buffer[] {
  return Array.from({ length: BLOCKS }, (_, i) => Buffer.from(bytes.buffer, i * BLOCK_BYTES, BLOCK_BYTES));
}
