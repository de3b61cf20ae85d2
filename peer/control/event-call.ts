import { once } from 'node:events';
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { toGrpcError } from '../grpc.js';
import type { IncomingCall } from '../wire/incoming-call.js';

/** A call that is answered with events, whichever way it came in. */
export interface EventCall<E> {
  /** The authorization header; undefined when there is none. */
  readonly authorization: string | undefined;
  /** Bytes must not change until `onSent` is called: they are sent by then, or never will be. False: wait before more. */
  write(event: E, onSent?: () => void): boolean;
  /** Whether to wait before more. */
  readonly isFull: boolean;
  /** Resolves when there is room again; rejects when the signal fires. */
  onceDrained(signal: AbortSignal): Promise<void>;
  onCancelled(listener: () => void): void;
  /** Ends it, with what failed if something did. */
  end(failure?: unknown): void;
}

/** A call that grpc-js serves: from a client of any kind. */
export function overGrpc<Q, E>(call: ServerWritableStream<Q, E> | ServerDuplexStream<Q, E>): EventCall<E> {
  return {
    authorization: call.metadata.get('authorization')[0]?.toString(),
    write: (event, onSent) => call.write(event, () => onSent?.()),
    get isFull() {
      return call.writableNeedDrain;
    },
    onceDrained: async (signal) => {
      await once(call, 'drain', { signal });
    },
    onCancelled: (listener) => call.on('cancelled', listener),
    end: (failure) => {
      if (failure === undefined) call.end();
      else call.emit('error', toGrpcError(failure));
    },
  };
}

/** A call of our own command line. `serialize` gives a message in parts, which are sent from where they lie. */
export function overWire<E>(
  call: IncomingCall,
  { serialize }: { readonly serialize: (event: E) => readonly Buffer[] },
): EventCall<E> {
  return {
    authorization: call.authorization,
    write: (event, onSent) => call.write(serialize(event), onSent),
    get isFull() {
      return call.isFull;
    },
    onceDrained: async (signal) => {
      await once(call, 'drain', { signal });
    },
    onCancelled: (listener) => call.on('cancelled', listener),
    end: (failure) => call.end(failure),
  };
}
