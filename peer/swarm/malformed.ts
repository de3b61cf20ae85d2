import {
  type MethodDefinition,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { toGrpcError } from '../grpc.js';

/*
 * A request that is no message of its type is the caller's fault, but grpc-js answers INTERNAL to all that a deserialiser
 * throws. So it returns what it would have thrown, and an interceptor answers.
 */

class Malformed {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** The service with deserialisers that do not throw; the server needs {@link refuseMalformed} with it. */
export function tolerant<T extends ServiceDefinition>(service: T): T {
  const methods = Object.entries(service).map(([name, method]: [string, MethodDefinition<unknown, unknown>]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch (error) {
        return new Malformed(error);
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as T;
}

/** Ends calls with INVALID_ARGUMENT whose request could not be read; handlers do not see it. */
export const refuseMalformed: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next(
        new ServerListenerBuilder()
          .withOnReceiveMessage((message: unknown, deliver) => {
            if (!(message instanceof Malformed)) {
              deliver(message);
              return;
            }
            const { cause } = message;
            const { code, details, metadata } = toGrpcError(
              new ShoalError('invalid', 'the request is not a message of its type', { cause }),
            );
            call.sendStatus({ code, details, metadata });
          })
          .build(),
      ),
  });
