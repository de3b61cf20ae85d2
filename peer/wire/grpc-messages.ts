import { ShoalError } from '../../common/errors.js';

/*
 * Messages in the DATA of a gRPC stream: a byte that says whether it is compressed, four of length, the message
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
 */

const PREFIX_BYTES = 5;

/** A message, perhaps in parts, with what goes before it. Nothing is copied. */
export function messageFrames(message: Buffer | readonly Buffer[]): readonly Buffer[] {
  const parts = Buffer.isBuffer(message) ? [message] : message;
  return [messagePrefix(parts.reduce((sum, part) => sum + part.length, 0)), ...parts];
}

/** What goes before a message of `length` bytes. */
export function messagePrefix(length: number): Buffer {
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt8(0, 0);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** Puts messages together. `push` throws `invalid` or `too_large` for what is none, and what `onMessage` throws. */
export class MessageReader {
  readonly #deps: { readonly allocate: (bytes: number) => Buffer; readonly onMessage: (message: Buffer) => void };
  readonly #maxBytes: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  #message: Buffer | undefined;
  #filled = 0;

  constructor(
    deps: {
      /** Where a message is put; what it returns is handed to `onMessage`, full. */
      readonly allocate: (bytes: number) => Buffer;
      readonly onMessage: (message: Buffer) => void;
    },
    options: { readonly maxBytes: number },
  ) {
    this.#deps = deps;
    this.#maxBytes = options.maxBytes;
  }

  /** Whether nothing of a message has come yet. */
  get isBetweenMessages(): boolean {
    return this.#prefixBytes === 0 && this.#message === undefined;
  }

  /** Takes the next bytes; they are copied. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#message === undefined) at += this.#takePrefix(bytes, at);
      else {
        const taken = bytes.copy(this.#message, this.#filled, at);
        this.#filled += taken;
        at += taken;
      }
      if (this.#message !== undefined && this.#filled === this.#message.length) this.#finish(this.#message);
    }
  }

  #takePrefix(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#prefix, this.#prefixBytes, at);
    this.#prefixBytes += taken;
    if (this.#prefixBytes < PREFIX_BYTES) return taken;
    this.#prefixBytes = 0;
    if (this.#prefix[0] !== 0) throw new ShoalError('invalid', 'a compressed message, which was not agreed on');
    const length = this.#prefix.readUInt32BE(1);
    if (length > this.#maxBytes) {
      throw new ShoalError('too_large', `a message of ${length} bytes, more than ${this.#maxBytes}`);
    }
    this.#message = this.#deps.allocate(length);
    this.#filled = 0;
    return taken;
  }

  #finish(message: Buffer): void {
    this.#message = undefined;
    this.#deps.onMessage(message);
  }
}
