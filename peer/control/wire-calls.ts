import { once } from 'node:events';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { dataField, GET_RESPONSE_DATA } from '../data-field.js';
import { type IncomingCall, refuseUnknownMethod } from '../wire/incoming-call.js';
import type { EventCall, ServeCall } from './event-call.js';

/*
 * The control service for our own command line, which comes by the HTTP/2 of wire/: that copies no file, and holds back who
 * sends faster than is stored.
 */

// biome-ignore lint/suspicious/noExplicitAny: each handler has types of its own
type AnyCall = ServeCall<any, any>;
type Method = MethodDefinition<object, object>;
type Serialize = (event: object) => Buffer | readonly Buffer[];

/** What takes the calls to a service. */
export function wireHandler(
  methods: ServiceDefinition,
  handlers: Readonly<Record<string, AnyCall>>,
): (call: IncomingCall) => void {
  const served = new Map(
    Object.entries(methods).flatMap(([name, method]) => {
      const serve = handlers[name];
      return serve === undefined ? [] : [[method.path, takerOf({ name, method, serve })] as const];
    }),
  );
  return (call) => (served.get(call.path) ?? refuseUnknownMethod)(call);
}

function takerOf(served: {
  readonly name: string;
  readonly method: Method;
  readonly serve: AnyCall;
}): (call: IncomingCall) => void {
  const { name, method, serve } = served;
  const { requestDeserialize, responseSerialize } = method;
  const serialize: Serialize =
    name === 'Get' ? (event) => dataField(event, GET_RESPONSE_DATA) ?? responseSerialize(event) : responseSerialize;
  return (call) => serve(requestsOf(call, requestDeserialize), answersOf(call, serialize));
}

async function* requestsOf(call: IncomingCall, deserialize: (bytes: Buffer) => object): AsyncGenerator<object> {
  for await (const bytes of call.requests()) yield messageOf(bytes, deserialize);
}

function messageOf(bytes: Buffer, deserialize: (bytes: Buffer) => object): object {
  try {
    return deserialize(bytes);
  } catch (cause) {
    throw new ShoalError('invalid', 'a request that is no message of its kind', { cause });
  }
}

/** Messages may come in parts, which are sent from where they lie. */
function answersOf(call: IncomingCall, serialize: Serialize): EventCall<object> {
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
