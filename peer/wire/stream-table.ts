import { Http2Code, MAX_WINDOW_BYTES, ProtocolError } from './frames.js';
import type { Http2Stream } from './http2-stream.js';

/**
 * The streams of a connection by their numbers, which only grow (RFC 9113 section 5.1.1): what is not open has either
 * been, or never was. Only clients open streams, so all numbers are odd.
 */
export class StreamTable {
  readonly #role: 'client' | 'server';
  readonly #open = new Map<number, Http2Stream>();
  #lastId = -1;

  constructor(role: 'client' | 'server') {
    this.#role = role;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The last stream that was opened, 0 when none was. */
  get lastId(): number {
    return Math.max(0, this.#lastId);
  }

  /** Whether there is a number left for one more. 2^31 are some years of a busy connection. */
  get hasRoom(): boolean {
    return this.#lastId + 2 <= MAX_WINDOW_BYTES;
  }

  /** The number for the stream that a client opens next. */
  takeId(): number {
    this.#lastId += 2;
    return this.#lastId;
  }

  /** Whether a frame of this number may open a stream here; from then on the number is taken, whatever becomes of it. */
  isOpenedBy(id: number): boolean {
    if (this.#role === 'client' || id % 2 === 0 || id <= this.#lastId) return false;
    this.#lastId = id;
    return true;
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream);
  }

  delete(stream: Http2Stream): void {
    this.#open.delete(stream.id);
  }

  /** All of them. They may be deleted meanwhile. */
  values(): IterableIterator<Http2Stream> {
    return this.#open.values();
  }

  /** The stream, or undefined when it is over: what still comes for it is ignored. Throws for one that never was. */
  find(id: number): Http2Stream | undefined {
    const stream = this.#open.get(id);
    if (stream === undefined && (id <= 0 || id % 2 === 0 || id > this.#lastId)) {
      throw new ProtocolError(`stream ${id} does not exist`);
    }
    return stream;
  }

  /** {@link find} for what may not come when the other side has ended the stream. */
  findOpen(id: number): Http2Stream | undefined {
    const stream = this.find(id);
    if (stream?.isRemoteEnd === true) throw new ProtocolError(`stream ${id} has ended`, Http2Code.streamClosed);
    return stream;
  }
}
