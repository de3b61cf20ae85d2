import { join } from 'node:path';
import {
  type ChannelOptions,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type Options, type PackageDefinition } from '@grpc/proto-loader';
import {
  ERROR_CODES,
  type ErrorCode,
  GRPC_STATUS,
  ShoalError,
  type ShoalErrorOptions,
  toShoalError,
} from '../common/errors.js';
import { PACKAGE_ROOT } from '../common/version.js';

/*
 * The one place that knows how protos are loaded and how a failure crosses gRPC: as the status of the table in
 * common/errors.ts, and with a google.rpc.ErrorInfo that carries our code and hint to clients that look.
 */

const PROTO_DIR = join(PACKAGE_ROOT, 'proto');
const ERROR_DOMAIN = 'shoal';
const DETAILS_KEY = 'grpc-status-details-bin';
const ERROR_INFO_TYPE = 'type.googleapis.com/google.rpc.ErrorInfo';

/** The generated types are made with the same options; see the script that makes them. */
const LOADER_OPTIONS: Options = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
  includeDirs: [PROTO_DIR],
};

/** Options of every channel: no proxies and no DNS lookups of service configs, quick reconnects, dead peers noticed. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
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

/** The package `name` (such as `shoal.peer.v1`) of a loaded proto, as grpc-js wants it. */
export function grpcPackage(definition: PackageDefinition, name: string): GrpcObject {
  let found: unknown = loadPackageDefinition(definition);
  for (const part of name.split('.')) found = (found as GrpcObject)[part];
  return found as GrpcObject;
}

interface RichStatus {
  code: number;
  message: string;
  details: { type_url?: string; typeUrl?: string; value: Buffer }[];
}
interface ErrorInfo {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
}

let statusTypes:
  | { status: MessageTypeDefinition<object, object>; info: MessageTypeDefinition<object, object> }
  | undefined;

function richTypes() {
  if (statusTypes === undefined) {
    const definition = loadProto('google/rpc/status.proto');
    statusTypes = {
      status: definition['google.rpc.Status'] as MessageTypeDefinition<object, object>,
      info: definition['google.rpc.ErrorInfo'] as MessageTypeDefinition<object, object>,
    };
  }
  return statusTypes;
}

/** A failure in the form that grpc-js handlers hand to their callback or emit on their stream. */
export function toGrpcError(thrown: unknown): Pick<ServiceError, 'code' | 'details' | 'message' | 'metadata'> {
  const error = toShoalError(thrown);
  const types = richTypes();
  const metadata: Record<string, string> = {};
  if (error.hint !== undefined) metadata['hint'] = error.hint;
  if (error.details !== undefined) metadata['details'] = JSON.stringify(error.details);
  const info = types.info.serialize({ reason: error.code, domain: ERROR_DOMAIN, metadata } satisfies ErrorInfo);
  const rich = types.status.serialize({
    code: GRPC_STATUS[error.code],
    message: error.message,
    details: [{ type_url: ERROR_INFO_TYPE, typeUrl: ERROR_INFO_TYPE, value: info }],
  } satisfies RichStatus);
  const trailer = new Metadata();
  trailer.set(DETAILS_KEY, rich);
  return { code: GRPC_STATUS[error.code], details: error.message, message: error.message, metadata: trailer };
}

/** Any error that a grpc-js call ended with as a {@link ShoalError}: by our own details if there are any, else by status. */
export function fromGrpcError(thrown: unknown): ShoalError {
  if (thrown instanceof ShoalError || !isServiceError(thrown)) return toShoalError(thrown);
  const own = ownDetails(thrown);
  const message = thrown.details === '' ? thrown.message : thrown.details;
  return new ShoalError(own?.code ?? codeOfStatus(thrown.code), message, { cause: thrown, ...own?.options });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number' && 'details' in error;
}

/** What only Shoal tells of a failure. */
function ownDetails(
  error: ServiceError,
): { readonly code: ErrorCode; readonly options: ShoalErrorOptions } | undefined {
  const trailer = error.metadata?.get(DETAILS_KEY)[0];
  if (!(trailer instanceof Buffer)) return undefined;
  const types = richTypes();
  try {
    const rich = types.status.deserialize(trailer) as RichStatus;
    const found = rich.details.find((any) => (any.type_url ?? any.typeUrl) === ERROR_INFO_TYPE);
    if (found === undefined) return undefined;
    const { domain, reason, metadata } = types.info.deserialize(found.value) as ErrorInfo;
    const code = ERROR_CODES.find((candidate) => candidate === reason);
    if (domain !== ERROR_DOMAIN || code === undefined) return undefined;
    const { hint, details } = metadata as { hint?: string; details?: string };
    return {
      code,
      options: {
        ...(hint === undefined ? {} : { hint }),
        ...(details === undefined ? {} : { details: { ...(JSON.parse(details) as object) } }),
      },
    };
  } catch {
    // Details that cannot be read say nothing; the status itself still does.
    return undefined;
  }
}

/** The code for a bare gRPC status, as other programs send it. Where two codes share a status, the commoner one. */
function codeOfStatus(grpcStatus: number): ErrorCode {
  const code = ERROR_CODES.find((candidate) => GRPC_STATUS[candidate] === grpcStatus);
  if (code !== undefined) return code;
  if (grpcStatus === status.UNIMPLEMENTED || grpcStatus === status.OUT_OF_RANGE) return 'invalid';
  if (grpcStatus === status.FAILED_PRECONDITION || grpcStatus === status.ABORTED) return 'conflict';
  return 'internal';
}
