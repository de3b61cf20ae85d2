import { isZero, writeFully } from './file-io.js';

/** Written at once: handing a write to another thread costs as much as copying so much. */
const GATHER_BYTES = 512 * 1024;

/**
 * Writes what comes of a stream to an open file, one piece after the other, while more comes. What is zero becomes a hole. At
 * most twice {@link GATHER_BYTES} and what was added last are in memory.
 */
export class StreamWriter {
  readonly #fd: number;
  readonly #onWritten: (bytes: number) => void;
  readonly #release: (data: Buffer) => void;
  #position = 0;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  /**
   * `onWritten` is told of bytes that were written, and of those that need not be; `release`, of what was added and may be
   * used for something else from now on.
   */
  constructor(
    fd: number,
    options: { readonly onWritten: (bytes: number) => void; readonly release?: ((data: Buffer) => void) | undefined },
  ) {
    this.#fd = fd;
    this.#onWritten = options.onWritten;
    this.#release = options.release ?? (() => undefined);
  }

  /** Takes the next bytes, which must not change until they are released. Resolves when there is room for more; throws what the disk says. */
  async add(data: Buffer): Promise<void> {
    if (isZero(data)) {
      await this.#flush();
      this.#position += data.length;
      this.#onWritten(data.length);
      this.#release(data);
      return;
    }
    this.#gathered.push(data);
    this.#gatheredBytes += data.length;
    if (this.#gatheredBytes >= GATHER_BYTES) await this.#flush();
  }

  /** Resolves when all is written; throws what the disk says. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  /** Resolves when nothing is being written: the file may be closed. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  /** Begins to write what was gathered, when what was before is written. */
  async #flush(): Promise<void> {
    await this.#writing;
    const pieces = this.#gathered;
    const bytes = this.#gatheredBytes;
    if (bytes === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = writeFully(this.#fd, pieces, this.#position).then(() => {
      this.#onWritten(bytes);
      for (const piece of pieces) this.#release(piece);
    });
    // Whoever adds next, or finishes, hears of a failure.
    this.#writing.catch(() => undefined);
    this.#position += bytes;
  }
}
