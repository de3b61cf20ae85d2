import {
  type ChannelOptions,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { type ShoalError, toShoalError } from '../common/errors.js';
import { DETAILS_KEY, errorOfStatus, statusOf } from './rich-status.js';

/* What all that speak gRPC by grpc-js share. */

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

/** The package `name` (such as `shoal.peer.v1`) of a loaded proto, as grpc-js wants it. */
export function grpcPackage(definition: PackageDefinition, name: string): GrpcObject {
  let found: unknown = loadPackageDefinition(definition);
  for (const part of name.split('.')) found = (found as GrpcObject)[part];
  return found as GrpcObject;
}

/** A failure in the form that grpc-js handlers hand to their callback or emit on their stream. */
export function toGrpcError(thrown: unknown): Pick<ServiceError, 'code' | 'details' | 'message' | 'metadata'> {
  const { code, message, details } = statusOf(thrown);
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, details);
  return { code, details: message, message, metadata };
}

/** Any error that a grpc-js call ended with as a {@link ShoalError}. */
export function fromGrpcError(thrown: unknown): ShoalError {
  if (!isServiceError(thrown)) return toShoalError(thrown);
  const trailer = thrown.metadata?.get(DETAILS_KEY)[0];
  const message = thrown.details === '' ? thrown.message : thrown.details;
  const details = trailer instanceof Buffer ? trailer : undefined;
  return errorOfStatus({ code: thrown.code, message, details }, thrown);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number' && 'details' in error;
}
