import { Writable } from 'node:stream';
import type { ShoalError } from '../../common/errors.js';
import { BufferPool } from '../wire/buffer-pool.js';
import { BULK_SETTING } from '../wire/bulk-setting.js';
import { CallDialer } from '../wire/call-dialer.js';
import type { ControlMethod } from './control-methods.js';

/*
 * One call of the daemon, over a connection of its own and by the HTTP/2 that peers have for bulk bytes: grpc-js would copy
 * the bytes of a file several times on either side, and loading it takes longer than most commands have to wait for their
 * answer.
 */

/** Read from the socket and not taken yet. */
const MAX_HELD_BYTES = 1024 * 1024;
/** Requests that wait for the socket before whoever writes them should pause. */
const MAX_WAITING_REQUESTS = 2;
const OPTIONS = {
  windowBytes: 4 * 1024 * 1024,
  maxFrameBytes: 1024 * 1024,
  // The kernel tells when the daemon is gone.
  keepaliveMs: Number.POSITIVE_INFINITY,
  keepaliveTimeoutMs: 10_000,
  maxIdle: 0,
  maxMessageBytes: 16 * 1024 * 1024,
  maxHeldBytes: MAX_HELD_BYTES,
  // By which the daemon sees that we take its own HTTP/2, and not that of grpc-js.
  extraSettings: [BULK_SETTING],
};

/** What to ask, and where. */
export interface CallOptions {
  readonly socketPath: string;
  readonly authorization: string | undefined;
  readonly method: ControlMethod;
  /** Whether the bytes of an answer may be used again when the next is asked for. */
  readonly reusesBuffers: boolean;
}

/** A call under way. Requests may wait for answers, and answers for requests. */
export interface ControlCall<E> {
  /** Takes messages, one a write, no faster than the daemon does. After the end of the call it takes them for nothing. */
  readonly requests: Writable;
  /** In order and read no faster than they are taken. Throws what ended the call. Leaving the iteration cancels it. */
  readonly events: AsyncGenerator<E>;
  /** Ends it: the iteration throws. */
  cancel(): void;
}

/** Begins a call whose answers are of the type E. `signal` cancels it, with any error. Iterate over its events in any case. */
export function beginCall<E>(options: CallOptions, signal: AbortSignal): ControlCall<E> {
  const { method, authorization, reusesBuffers } = options;
  const buffers = new BufferPool({ keepBytes: 2 * MAX_HELD_BYTES });
  const dialer = new CallDialer({ buffers, identity: undefined }, OPTIONS);
  const inbox = new Inbox();
  const call = dialer.open(`unix:${options.socketPath}`, {
    path: method.path,
    authorization,
    listener: {
      onMessage: (message) => {
        dialer.hold(message.length);
        inbox.put(message);
      },
      onEnd: (error) => inbox.end(error),
    },
  });
  // Ends the call, and its listener hears of it.
  const cancel = () => dialer.close();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();

  async function* events(): AsyncGenerator<E> {
    try {
      for await (const message of inbox) {
        yield method.responseDeserialize(message) as E;
        dialer.hold(-message.length);
        if (reusesBuffers) buffers.give(message);
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      call.close();
      dialer.close();
    }
  }

  const requests = new Writable({
    objectMode: true,
    highWaterMark: MAX_WAITING_REQUESTS,
    // The call goes on when all is asked.
    autoDestroy: false,
    write: (request: object, _encoding, done) => call.send(method.requestSerialize(request), () => done()),
    final: (done) => {
      call.sendEnd();
      done();
    },
  });
  return { requests, events: events(), cancel };
}

/** Messages that came and were not taken yet, and how the call ended. */
class Inbox {
  readonly #messages: Buffer[] = [];
  #end: { readonly error: ShoalError | undefined } | undefined;
  #wake: () => void = () => undefined;

  put(message: Buffer): void {
    this.#messages.push(message);
    this.#wake();
  }

  end(error: ShoalError | undefined): void {
    this.#end = { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) {
        yield message;
      } else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
