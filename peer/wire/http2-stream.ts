import { Http2Code, MAX_WINDOW_BYTES, ProtocolError } from './frames.js';
import type { Headers } from './hpack.js';

/** Why a stream ended early. */
export interface StreamEnd {
  /** The code of the RST_STREAM that the other side sent; undefined when the connection was lost. */
  readonly resetCode: number | undefined;
  readonly cause: Error | undefined;
}

/** What a stream tells whoever uses it. */
export interface StreamListener {
  onHeaders?(headers: Headers): void;
  /** A view of what was received: copy what must outlive the call. */
  onData?(bytes: Buffer): void;
  /** The other side says no more. */
  onEnd?(): void;
  /** Once, last, and not after a {@link Http2Stream.reset}. `early` is undefined when all was sent to the end. */
  onClose?(early: StreamEnd | undefined): void;
}

/** What a stream has to send next. */
export type Piece =
  | { readonly kind: 'headers'; readonly headers: Headers; readonly isEnd: boolean }
  | {
      readonly kind: 'data';
      readonly bytes: Buffer;
      /** Given with the last piece of what was sent in one call. */
      readonly onSent: (() => void) | undefined;
    }
  | { readonly kind: 'end' };

type Queued =
  | { readonly kind: 'headers'; readonly headers: Headers; readonly isEnd: boolean }
  | { readonly kind: 'end' }
  | { readonly kind: 'data'; bytes: Buffer; readonly onSent: (() => void) | undefined };

/** What a stream asks of its connection. */
export interface StreamDeps {
  readonly flush: (stream: Http2Stream) => void;
  /** Acknowledges what was received, so that more may come. */
  readonly acknowledge: (stream: Http2Stream) => void;
  readonly reset: (code: number) => void;
  readonly closed: () => void;
}

/**
 * One stream of a connection: what waits to be sent, the windows, and which sides have ended. A server ends with trailers;
 * a gRPC client of ours ends a conversation by resetting it, and says so when it has nothing more to ask.
 */
export class Http2Stream {
  readonly id: number;
  readonly #deps: StreamDeps;
  #listener: StreamListener = {};
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #sendWindow: number;
  #unacknowledged = 0;
  #isPaused = false;
  #isLocalEnd = false;
  #isRemoteEnd = false;
  #isClosed = false;

  constructor(deps: StreamDeps, options: { readonly id: number; readonly sendWindow: number }) {
    this.#deps = deps;
    this.id = options.id;
    this.#sendWindow = options.sendWindow;
  }

  /** Who is told from now on. */
  listen(listener: StreamListener): void {
    this.#listener = listener;
  }

  /** Sends headers; `isEnd` makes them trailers, after which nothing may be sent. */
  sendHeaders(headers: Headers, isEnd: boolean): void {
    if (this.#isClosed || this.#isLocalEnd) return;
    this.#queue.push({ kind: 'headers', headers, isEnd });
    this.#deps.flush(this);
  }

  /**
   * Sends bytes, which must not change until `onSent` is called: when the kernel has all of them, or when they will never
   * be sent.
   */
  sendData(parts: readonly Buffer[], onSent?: () => void): void {
    if (this.#isClosed || this.#isLocalEnd) {
      onSent?.();
      return;
    }
    parts.forEach((bytes, i) => {
      this.#queue.push({ kind: 'data', bytes, onSent: i === parts.length - 1 ? onSent : undefined });
      this.#queuedBytes += bytes.length;
    });
    this.#deps.flush(this);
  }

  /** Says that nothing more is sent, after what was; the other side may go on. Only on a client. */
  sendEnd(): void {
    if (this.#isClosed || this.#isLocalEnd) return;
    this.#queue.push({ kind: 'end' });
    this.#deps.flush(this);
  }

  /** Ends it in both directions at once; the listener hears nothing more. */
  reset(code: number = Http2Code.cancel): void {
    if (this.#isClosed) return;
    this.#listener = {};
    this.#deps.reset(code);
    this.#close(undefined);
  }

  /** The other side may send what it was allowed to before, and no more until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isClosed && !this.#isRemoteEnd) this.#deps.acknowledge(this);
  }

  // --- For the connection: sending ----------------------------------------------------------------------------------

  /** Bytes that wait for a window, or for the socket. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get isWaiting(): boolean {
    return this.#queue.length > 0;
  }

  /** The next piece to send, of at most `most` bytes; undefined when nothing waits or a window is full. */
  take(most: number): Piece | undefined {
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    if (first.kind === 'headers') {
      this.#queue.shift();
      this.#isLocalEnd = first.isEnd;
      return first;
    }
    if (first.kind === 'end') {
      this.#queue.shift();
      this.#isLocalEnd = true;
      return first;
    }
    const bytes = first.bytes.subarray(0, Math.max(0, Math.min(most, this.#sendWindow)));
    if (bytes.length === 0 && first.bytes.length > 0) return undefined;
    this.#sendWindow -= bytes.length;
    this.#queuedBytes -= bytes.length;
    if (bytes.length < first.bytes.length) {
      first.bytes = first.bytes.subarray(bytes.length);
      return { kind: 'data', bytes, onSent: undefined };
    }
    this.#queue.shift();
    return { kind: 'data', bytes, onSent: first.onSent };
  }

  /** The headers that end this side were written. Who has said all wants to hear no more (RFC 9113 section 8.1). */
  sentEnd(): void {
    if (!this.#isRemoteEnd) this.#deps.reset(Http2Code.noError);
    this.#close(undefined);
  }

  widen(bytes: number): void {
    this.#sendWindow += bytes;
    if (this.#sendWindow > MAX_WINDOW_BYTES) {
      throw new ProtocolError(`too wide a window of stream ${this.id}`, Http2Code.flowControlError);
    }
  }

  // --- For the connection: receiving --------------------------------------------------------------------------------

  /** Whether the other side has said that it says no more. */
  get isRemoteEnd(): boolean {
    return this.#isRemoteEnd;
  }

  received(bytes: Buffer): void {
    this.#listener.onData?.(bytes);
  }

  receivedHeaders(headers: Headers): void {
    this.#listener.onHeaders?.(headers);
  }

  receivedEnd(): void {
    if (this.#isClosed) return;
    this.#isRemoteEnd = true;
    this.#listener.onEnd?.();
  }

  receivedReset(code: number): void {
    this.#close({ resetCode: code, cause: undefined });
  }

  lost(cause: Error | undefined): void {
    this.#close({ resetCode: undefined, cause });
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Bytes that came since the other side was last told that it may send more. */
  get unacknowledgedBytes(): number {
    return this.#unacknowledged;
  }

  /** Counts bytes that came, or, as a negative number, that were acknowledged. */
  count(bytes: number): void {
    this.#unacknowledged += bytes;
  }

  #close(early: StreamEnd | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const waiting = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const item of waiting) if (item.kind === 'data') item.onSent?.();
    this.#deps.closed();
    this.#listener.onClose?.(early);
  }
}
