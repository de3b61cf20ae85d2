import { once } from 'node:events';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  MethodDefinition,
  ServerDuplexStream,
  ServerWritableStream,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { toGrpcError } from '../grpc.js';
import type { EventCall, ServeCall } from './event-call.js';

/*
 * The control service for gRPC clients of any kind, as grpc-js serves it.
 */

// biome-ignore lint/suspicious/noExplicitAny: each handler has types of its own
type AnyCall = ServeCall<any, any>;
type Method = MethodDefinition<object, object>;

/** What grpc-js is given for a service. */
export function grpcHandlers(
  methods: ServiceDefinition,
  handlers: Readonly<Record<string, AnyCall>>,
): UntypedServiceImplementation {
  return Object.fromEntries(Object.entries(handlers).map(([name, serve]) => [name, handlerOf(methods[name], serve)]));
}

function handlerOf(method: Method | undefined, serve: AnyCall) {
  if (method?.requestStream === true) return conversation(serve);
  return method?.responseStream === true ? events(serve) : unary(serve);
}

function unary(serve: AnyCall): handleUnaryCall<object, object> {
  return (call, callback) => {
    let response: object | null = null;
    serve(only(call.request), {
      authorization: authorizationOf(call.metadata),
      write: (answer) => {
        response = answer;
        return true;
      },
      isFull: false,
      onceDrained: () => Promise.resolve(),
      onCancelled: (listener) => call.on('cancelled', listener),
      end: (failure) => (failure === undefined ? callback(null, response) : callback(toGrpcError(failure))),
    });
  };
}

function events(serve: AnyCall): handleServerStreamingCall<object, object> {
  return (call) => serve(only(call.request), streamOf(call));
}

function conversation(serve: AnyCall): handleBidiStreamingCall<object, object> {
  // Without the option, reading no further would destroy the call together with the answer.
  return (call) => serve(call.iterator({ destroyOnReturn: false }) as AsyncIterator<object>, streamOf(call));
}

function streamOf<E>(call: ServerWritableStream<object, E> | ServerDuplexStream<object, E>): EventCall<E> {
  return {
    authorization: authorizationOf(call.metadata),
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

function authorizationOf(metadata: Metadata): string | undefined {
  return metadata.get('authorization')[0]?.toString();
}

async function* only<Q>(request: Q): AsyncGenerator<Q> {
  yield request;
}
