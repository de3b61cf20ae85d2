import { ShoalError } from '../../common/errors.js';
import type { BufferPool } from './buffer-pool.js';
import { Http2Code } from './frames.js';
import { MessageReader, messageFrames } from './grpc-messages.js';
import { errorOfEnd, errorOfHeaders, isGrpcAnswer, noGrpc } from './grpc-status.js';
import type { Headers } from './hpack.js';
import type { Http2Stream } from './http2-stream.js';

/** What a call tells. After `onEnd` nothing more is told. */
export interface CallListener {
  /** A message of the other side. It lies in a buffer of the pool: give it back when it is done with. */
  onMessage(message: Buffer): void;
  /** `error` is undefined when the other side ended the call in good order. */
  onEnd(error: ShoalError | undefined): void;
}

/** The asking side of one call: messages to and from a stream, and how it ended. */
export class OutgoingCall {
  readonly #stream: Http2Stream;
  readonly #listener: CallListener;
  readonly #onOver: (why?: 'silent') => void;
  readonly #address: string;
  readonly #messages: MessageReader;
  #headers: Headers = [];
  #isGrpc = false;
  #hasSaidAll = false;
  #isOver = false;

  constructor(
    deps: {
      readonly stream: Http2Stream;
      readonly listener: CallListener;
      readonly buffers: BufferPool;
      /** The call is over, in whichever way. Before `onEnd`. */
      readonly onOver: (why?: 'silent') => void;
    },
    options: { readonly address: string; readonly maxMessageBytes: number },
  ) {
    this.#stream = deps.stream;
    this.#listener = deps.listener;
    this.#onOver = deps.onOver;
    this.#address = options.address;
    this.#messages = new MessageReader(
      {
        allocate: (bytes) => deps.buffers.take(bytes),
        onMessage: (message) => {
          if (!this.#isOver) this.#listener.onMessage(message);
        },
      },
      { maxBytes: options.maxMessageBytes },
    );
    this.#stream.listen({
      onHeaders: (headers) => {
        this.#headers = headers;
        this.#isGrpc ||= isGrpcAnswer(headers);
      },
      onData: (bytes) => this.#received(bytes),
      onEnd: () => this.#ended(),
      onClose: (early) => this.#finish(early === undefined ? undefined : errorOfEnd(early, this.#address)),
    });
  }

  /**
   * Sends a message, perhaps in parts, which must not change until `onSent` is called: it was sent by then, or never will
   * be.
   */
  send(message: Buffer | readonly Buffer[], onSent?: () => void): void {
    if (this.#isOver || this.#hasSaidAll) onSent?.();
    else this.#stream.sendData(messageFrames(message), onSent);
  }

  /** Says that no message follows, nor is sent: a server that answers one request waits for that. */
  sendEnd(): void {
    if (this.#isOver || this.#hasSaidAll) return;
    this.#hasSaidAll = true;
    this.#stream.sendEnd();
  }

  /** Ends the call; `onEnd` is not called any more. Who had waited in vain says so: the next call connects anew. */
  close(why?: 'silent'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stream.reset(Http2Code.cancel);
    this.#onOver(why);
  }

  #received(bytes: Buffer): void {
    if (this.#isOver) return;
    try {
      // What others say in place of an answer is of no use, but for its status.
      if (!this.#isGrpc) throw noGrpc(this.#headers, this.#address);
      this.#messages.push(bytes);
    } catch (error) {
      this.#finish(error instanceof ShoalError ? error : new ShoalError('internal', 'a call failed', { cause: error }));
    }
  }

  #ended(): void {
    this.#finish(
      this.#messages.isBetweenMessages
        ? errorOfHeaders(this.#headers, this.#address)
        : new ShoalError('internal', `${this.#address} ended its answer within a message`),
    );
  }

  #finish(error: ShoalError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Nothing happens where the stream is over already.
    this.#stream.reset(error === undefined ? Http2Code.noError : Http2Code.cancel);
    this.#onOver();
    this.#listener.onEnd(error);
  }
}
