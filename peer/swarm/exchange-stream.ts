import { once } from 'node:events';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import type { ExchangeRequest__Output } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import { toGrpcError } from '../grpc.js';
import type { IncomingCall } from '../wire/incoming-call.js';
import type { ExchangeAnswer } from './peer-service.js';

/** Where answers go. */
export interface AnswerStream {
  /** Bytes must not change until `onSent` is called: they are sent by then, or never will be. False: wait before more. */
  write(answer: ExchangeAnswer, onSent?: () => void): boolean;
  /** Resolves when there is room again after `write` returned false, or when the signal fires. */
  onceDrained(signal: AbortSignal): Promise<void>;
}

/** An Exchange as the serving side sees it, whichever way it came in. */
export interface ExchangeStream {
  /** The authorization header; undefined when there is none. */
  readonly authorization: string | undefined;
  /** Throws `invalid` for what is no request. */
  readonly requests: AsyncIterable<ExchangeRequest__Output>;
  readonly answers: AnswerStream;
  onCancelled(listener: (error?: unknown) => void): void;
  /** Ends it, with what failed if something did. */
  end(failure: unknown): void;
}

/** An Exchange that grpc-js serves: from a client of any kind. */
export function overGrpc(call: ServerDuplexStream<ExchangeRequest__Output, ExchangeAnswer>): ExchangeStream {
  return {
    authorization: call.metadata.get('authorization')[0]?.toString(),
    // Without the option a failure would destroy the call before its status is sent.
    requests: call.iterator({ destroyOnReturn: false }) as AsyncIterable<ExchangeRequest__Output>,
    answers: {
      write: (answer, onSent) => call.write(answer, () => onSent?.()),
      onceDrained: (signal) => whenDrained(call, signal),
    },
    onCancelled: (listener) => {
      call.on('cancelled', () => listener());
      call.on('error', (error) => listener(error));
    },
    end: (failure) => {
      if (failure === undefined) call.end();
      else call.emit('error', toGrpcError(failure));
    },
  };
}

/** An Exchange with a peer of ours. */
export function overWire(
  call: IncomingCall,
  method: {
    readonly requestDeserialize: (bytes: Buffer) => ExchangeRequest__Output;
    readonly responseSerialize: (answer: ExchangeAnswer) => Buffer;
  },
): ExchangeStream {
  const { requestDeserialize, responseSerialize } = method;
  async function* requests(): AsyncGenerator<ExchangeRequest__Output> {
    for await (const bytes of call.requests()) {
      let request: ExchangeRequest__Output;
      try {
        request = requestDeserialize(bytes);
      } catch (cause) {
        throw new ShoalError('invalid', 'the request is not a message of its type', { cause });
      }
      yield request;
    }
  }
  const answers: AnswerStream = {
    write: (answer, onSent) => call.write(responseSerialize(answer), onSent),
    onceDrained: (signal) => whenDrained(call, signal),
  };
  return {
    authorization: call.authorization,
    requests: requests(),
    answers,
    onCancelled: (listener) => call.on('cancelled', () => listener()),
    end: (failure) => call.end(failure),
  };
}

async function whenDrained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  try {
    await once(call, 'drain', { signal });
  } catch (error) {
    // The stream closed while it was full: the writer sees that and ends. Anything else is a fault of ours.
    if (!signal.aborted) throw error;
  }
}
