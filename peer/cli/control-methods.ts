import protobuf, { type INamespace } from 'protobufjs/light.js';
import { DESCRIPTOR } from '../../proto/gen/shoal/control/v1/control-descriptor.js';
import { dataField, PUT_REQUEST_DATA } from '../data-field.js';

/*
 * The methods of the daemon as the command line calls them. What proto-loader makes of the proto is the same, but loading it and
 * parsing the file takes as long as Node does to start.
 */

const SERVICE = 'shoal.control.v1.ControlService';

/** As the types of the messages are made; see the script that makes them. */
const CONVERSION = { longs: Number, enums: String, defaults: true, oneofs: true };

/** Where a method is called, and how its messages are written and read. */
export interface ControlMethod {
  readonly path: string;
  /** In parts, of which the bytes of a file are not copied. */
  readonly requestSerialize: (request: object) => Buffer | readonly Buffer[];
  /** Bytes in what it returns lie in `message`. Throws when that is no message of this kind. */
  readonly responseDeserialize: (message: Buffer) => object;
}

const service = protobuf.Root.fromJSON(DESCRIPTOR as INamespace).lookupService(SERVICE);

/** A method by its name in the proto; undefined where there is none. */
export function controlMethod(name: string): ControlMethod | undefined {
  const method = service.methods[name];
  if (method === undefined) return undefined;
  method.resolve();
  const { resolvedRequestType: request, resolvedResponseType: response } = method;
  if (request === null || response === null) throw new TypeError(`${SERVICE}.${name} has no types`);
  return {
    path: `/${SERVICE}/${name}`,
    requestSerialize: (message) => {
      const data = name === 'Put' ? dataField(message, PUT_REQUEST_DATA) : undefined;
      if (data !== undefined) return data;
      const { buffer, byteOffset, length } = request.encode(request.fromObject(message)).finish();
      return Buffer.from(buffer, byteOffset, length);
    },
    responseDeserialize: (bytes) => response.toObject(response.decode(bytes), CONVERSION),
  };
}
