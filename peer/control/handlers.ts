import type { MethodDefinition } from '@grpc/proto-loader';
import type { ControlServiceDefinition } from '../../proto/gen/shoal/control/v1/ControlService.js';
import type { ControlMethod } from '../metrics.js';
import type { ServeCall } from './event-call.js';

type RequestOf<K extends ControlMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the request is asked for
  ControlServiceDefinition[K] extends MethodDefinition<any, any, infer Request, any> ? Request : never;
type ResponseOf<K extends ControlMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the response is asked for
  ControlServiceDefinition[K] extends MethodDefinition<any, infer Response, any, any> ? Response : never;

/** How each method of the control service is answered, by its name in the proto. */
export type ControlHandlers = {
  readonly [K in ControlMethod]: ServeCall<RequestOf<K>, ResponseOf<K>>;
};
