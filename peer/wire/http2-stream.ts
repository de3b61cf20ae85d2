import { FrameType, frameHeader, Http2Code } from './frames.js';
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
  /** Once, last, and not after a {@link Http2Stream.reset}. `early` is undefined when both sides had ended. */
  onClose?(early: StreamEnd | undefined): void;
}

/** What a stream has to send next. */
export type Piece =
  | { readonly kind: 'headers'; readonly headers: Headers; readonly isEnd: boolean }
  | {
      readonly kind: 'data';
      readonly bytes: Buffer;
      readonly isEnd: boolean;
      /** Given with the last piece of what was sent in one call. */
      readonly onSent: (() => void) | undefined;
    };

type Queued =
  | { readonly kind: 'headers'; readonly headers: Headers; readonly isEnd: boolean }
  | { readonly kind: 'data'; bytes: Buffer; readonly onSent: (() => void) | undefined; readonly isEnd: boolean };

const NOTHING = Buffer.alloc(0);

/** One stream of a connection: what waits to be sent, the windows, and which sides have ended. */
export class Http2Stream {
  readonly id: number;
  #listener: StreamListener;
  readonly #deps: {
    readonly flush: (stream: Http2Stream) => void;
    readonly reset: (code: number) => void;
    readonly closed: () => void;
  };
  #queue: Queued[] = [];
  #sendWindow: number;
  #consumed = 0;
  #isLocalEnd = false;
  #isRemoteEnd = false;
  #isClosed = false;

  constructor(
    deps: {
      readonly listener: StreamListener;
      readonly flush: (stream: Http2Stream) => void;
      readonly reset: (code: number) => void;
      readonly closed: () => void;
    },
    options: { readonly id: number; readonly sendWindow: number },
  ) {
    this.#deps = deps;
    this.#listener = deps.listener;
    this.id = options.id;
    this.#sendWindow = options.sendWindow;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Who is told from now on: a server knows only when it has seen the headers. */
  listen(listener: StreamListener): void {
    this.#listener = listener;
  }

  /** Sends headers; `isEnd` makes them trailers, after which nothing may be sent. */
  sendHeaders(headers: Headers, isEnd: boolean): void {
    this.#send({ kind: 'headers', headers, isEnd });
  }

  /**
   * Sends bytes, which must not change until `onSent` is called: when the kernel has all of them, or when they will never
   * be sent.
   */
  sendData(bytes: Buffer, onSent?: () => void): void {
    this.#send({ kind: 'data', bytes, onSent, isEnd: false });
  }

  /** Says no more. */
  sendEnd(): void {
    this.#send({ kind: 'data', bytes: NOTHING, onSent: undefined, isEnd: true });
  }

  /** Ends it in both directions at once; the listener hears nothing more. */
  reset(code: number = Http2Code.cancel): void {
    if (this.#isClosed) return;
    this.#listener = {};
    this.#deps.reset(code);
    this.#close(undefined);
  }

  // --- For the connection -------------------------------------------------------------------------------------------

  /** The next piece to send, of at most `most` bytes; undefined when nothing waits or a window is full. */
  take(most: number): Piece | undefined {
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    if (first.kind === 'headers') {
      this.#queue.shift();
      if (first.isEnd) this.#localEnd();
      return first;
    }
    const bytes = first.bytes.subarray(0, Math.max(0, Math.min(most, this.#sendWindow)));
    if (bytes.length === 0 && first.bytes.length > 0) return undefined;
    this.#sendWindow -= bytes.length;
    if (bytes.length < first.bytes.length) {
      first.bytes = first.bytes.subarray(bytes.length);
      return { kind: 'data', bytes, isEnd: false, onSent: undefined };
    }
    this.#queue.shift();
    if (first.isEnd) this.#localEnd();
    return { kind: 'data', bytes, isEnd: first.isEnd, onSent: first.onSent };
  }

  dataHeader(length: number, flags: number): Buffer {
    return frameHeader({ length, type: FrameType.data, flags, streamId: this.id });
  }

  widen(bytes: number): void {
    this.#sendWindow += bytes;
  }

  received(bytes: Buffer): void {
    this.#listener.onData?.(bytes);
  }

  receivedHeaders(headers: Headers, isEnd: boolean): void {
    this.#listener.onHeaders?.(headers);
    if (isEnd) this.receivedEnd();
  }

  receivedEnd(): void {
    if (this.#isClosed || this.#isRemoteEnd) return;
    this.#isRemoteEnd = true;
    this.#listener.onEnd?.();
    this.#closeWhenEnded();
  }

  receivedReset(code: number): void {
    this.#close({ resetCode: code, cause: undefined });
  }

  lost(cause: Error | undefined): void {
    this.#close({ resetCode: undefined, cause });
  }

  /** Counts what was received, and tells how much has not been acknowledged yet. */
  consumed(bytes: number): number {
    this.#consumed += bytes;
    return this.#consumed;
  }

  /** How much to acknowledge. */
  takeConsumed(): number {
    const bytes = this.#consumed;
    this.#consumed = 0;
    return bytes;
  }

  #send(item: Queued): void {
    if (this.#isClosed || this.#isLocalEnd) {
      if (item.kind === 'data') item.onSent?.();
      return;
    }
    this.#queue.push(item);
    this.#deps.flush(this);
  }

  #localEnd(): void {
    this.#isLocalEnd = true;
    // The piece that ends it has to be written first.
    if (this.#isRemoteEnd) queueMicrotask(() => this.#closeWhenEnded());
  }

  #closeWhenEnded(): void {
    if (this.#isLocalEnd && this.#isRemoteEnd) this.#close(undefined);
  }

  #close(early: StreamEnd | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const waiting = this.#queue;
    this.#queue = [];
    for (const item of waiting) if (item.kind === 'data') item.onSent?.();
    this.#deps.closed();
    this.#listener.onClose?.(early);
  }
}
