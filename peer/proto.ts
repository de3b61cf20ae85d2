import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition, type Options, type PackageDefinition } from '@grpc/proto-loader';
import { PACKAGE_ROOT } from '../common/version.js';

/* How protos are loaded for grpc-js. Commands do without: see cli/control-methods.ts. */

const PROTO_DIR = join(PACKAGE_ROOT, 'proto');

/** The generated types are made with the same options; see the script that makes them. */
const LOADER_OPTIONS: Options = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
  includeDirs: [PROTO_DIR],
};

/** Path of the proto of peer-to-peer calls below `proto/`. */
export const PEER_PROTO = 'shoal/peer/v1/peer.proto';
/** Path of the proto of the command line's calls below `proto/`. */
export const CONTROL_PROTO = 'shoal/control/v1/control.proto';

/** Loads a proto file below `proto/`. Takes some 50 ms: once a process. */
export function loadProto(path: string): PackageDefinition {
  return loadSync(path, LOADER_OPTIONS);
}

/**
 * The serialised FileDescriptorProtos of a proto file, one for each package in it, with the names as they are in the file.
 * The path is below `proto/`, or absolute.
 */
export function loadDescriptors(path: string): readonly Buffer[] {
  const loaded = Object.values(loadSync(path, { ...LOADER_OPTIONS, keepCase: true }));
  // Every type brings those of all files; services bring none.
  const type = loaded.find((one): one is MessageTypeDefinition<object, object> => 'fileDescriptorProtos' in one);
  return type?.fileDescriptorProtos ?? [];
}
