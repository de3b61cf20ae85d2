import type { ShoalError } from '../../common/errors.js';
import { BufferPool } from '../wire/buffer-pool.js';
import { CallDialer } from '../wire/call-dialer.js';
import { BULK_SETTING } from '../wire/call-server.js';

/*
 * A call whose answers carry a file. It goes over a connection of its own and the HTTP/2 that peers have for bulk bytes:
 * through grpc-js each byte would be copied several times on either side.
 */

/** Read from the socket and not taken yet. */
const MAX_HELD_BYTES = 1024 * 1024;
const OPTIONS = {
  windowBytes: 4 * 1024 * 1024,
  maxFrameBytes: 1024 * 1024,
  extraSettings: [BULK_SETTING],
  // The kernel tells when the daemon is gone.
  keepaliveMs: Number.POSITIVE_INFINITY,
  keepaliveTimeoutMs: 10_000,
  maxIdle: 0,
  maxMessageBytes: 16 * 1024 * 1024,
  maxHeldBytes: MAX_HELD_BYTES,
};

/** What to ask, and where. */
export interface BulkCall<Event> {
  readonly socketPath: string;
  /** Of the method. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly request: Buffer;
  readonly deserialize: (message: Buffer) => Event;
}

/**
 * Asks and iterates over the answers, in order and no faster than they are taken; the bytes of one are used again when the
 * next is asked for. Throws what ended the call. Leaving the iteration cancels it, as does `signal`, with any error.
 */
export async function* bulkEvents<Event>(call: BulkCall<Event>, signal: AbortSignal): AsyncGenerator<Event> {
  const buffers = new BufferPool({ keepBytes: 2 * MAX_HELD_BYTES });
  const dialer = new CallDialer({ buffers, identity: undefined }, OPTIONS);
  const messages: Buffer[] = [];
  let end: { readonly error: ShoalError | undefined } | undefined;
  let wake: () => void = () => undefined;
  const { path, authorization } = call;
  const asked = dialer.open(`unix:${call.socketPath}`, {
    path,
    authorization,
    listener: {
      onMessage: (message) => {
        dialer.hold(message.length);
        messages.push(message);
        wake();
      },
      onEnd: (error) => {
        end = { error };
        wake();
      },
    },
  });
  // Ends the call, and its listener hears of it.
  const cancel = () => dialer.close();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  asked.send(call.request);
  asked.sendEnd();
  try {
    for (;;) {
      const message = messages.shift();
      if (message !== undefined) {
        yield call.deserialize(message);
        dialer.hold(-message.length);
        buffers.give(message);
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    asked.close();
    dialer.close();
  }
}
