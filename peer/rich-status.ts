import protobuf, { type INamespace, type Type } from 'protobufjs/light.js';
import {
  ERROR_CODES,
  type ErrorCode,
  GRPC_STATUS,
  ShoalError,
  type ShoalErrorOptions,
  toShoalError,
} from '../common/errors.js';
import { DESCRIPTOR } from '../proto/gen/google/rpc/status-descriptor.js';

/*
 * How a failure crosses gRPC, whoever carries it: as the status of the table in common/errors.ts, and with a google.rpc.Status
 * (https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto) that has a google.rpc.ErrorInfo with our
 * code and hint for clients that look.
 */

/** The trailer that has the google.rpc.Status. */
export const DETAILS_KEY = 'grpc-status-details-bin';

const ERROR_DOMAIN = 'shoal';
const ERROR_INFO_TYPE = 'type.googleapis.com/google.rpc.ErrorInfo';
/** Numbers of gRPC that are no code of ours (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
const FAILED_PRECONDITION = 9;
const ABORTED = 10;
const OUT_OF_RANGE = 11;
/** Status of a method that the other side does not know. */
export const UNIMPLEMENTED = 12;

/** How a gRPC call ended. */
export interface RichStatus {
  /** Number of gRPC. */
  readonly code: number;
  readonly message: string;
  /** A google.rpc.Status, serialised; undefined where there is none. */
  readonly details: Buffer | undefined;
}

/** A status that came from the other side, or that grpc-js made: the cause of the {@link ShoalError} that it became. */
export class StatusError extends Error {
  readonly code: number;
  /** Whether it came without details, as one does that no handler of ours has made. */
  readonly isBare: boolean;

  constructor({ code, message, details }: RichStatus, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.isBare = details === undefined;
  }
}

interface StatusMessage {
  code: number;
  message: string;
  /** Any is built into protobufjs, which leaves its names as they are in the proto. */
  details: { type_url: string; value: Buffer }[];
}
interface ErrorInfo {
  reason: string;
  domain: string;
  metadata: Record<string, string>;
}

let statusTypes: { readonly status: Type; readonly info: Type } | undefined;

/** Made when they are first needed: most commands never see a failure. */
function richTypes() {
  if (statusTypes === undefined) {
    const root = protobuf.Root.fromJSON(DESCRIPTOR as INamespace);
    statusTypes = { status: root.lookupType('google.rpc.Status'), info: root.lookupType('google.rpc.ErrorInfo') };
  }
  return statusTypes;
}

function encode(type: Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function decode(type: Type, bytes: Buffer): object {
  return type.toObject(type.decode(bytes), { defaults: true });
}

/** The status to end a call with that failed. */
export function statusOf(thrown: unknown): RichStatus & { readonly details: Buffer } {
  const error = toShoalError(thrown);
  const types = richTypes();
  const metadata: Record<string, string> = {};
  if (error.hint !== undefined) metadata['hint'] = error.hint;
  if (error.details !== undefined) metadata['details'] = JSON.stringify(error.details);
  const info = encode(types.info, { reason: error.code, domain: ERROR_DOMAIN, metadata } satisfies ErrorInfo);
  const code = GRPC_STATUS[error.code];
  const details = encode(types.status, {
    code,
    message: error.message,
    details: [{ type_url: ERROR_INFO_TYPE, value: info }],
  } satisfies StatusMessage);
  return { code, message: error.message, details };
}

/** What a status says: by our own details if there are any, else by its number. `origin` is what brought it, if an error. */
export function errorOfStatus(status: RichStatus, origin?: unknown): ShoalError {
  const own = status.details === undefined ? undefined : ownDetails(status.details);
  const cause = new StatusError(status, origin);
  return new ShoalError(own?.code ?? codeOfStatus(status.code), status.message, { cause, ...own?.options });
}

/** What only Shoal tells of a failure. */
function ownDetails(details: Buffer): { readonly code: ErrorCode; readonly options: ShoalErrorOptions } | undefined {
  const types = richTypes();
  try {
    const rich = decode(types.status, details) as StatusMessage;
    const found = rich.details.find((any) => any.type_url === ERROR_INFO_TYPE);
    if (found === undefined) return undefined;
    const { domain, reason, metadata } = decode(types.info, found.value) as ErrorInfo;
    const code = ERROR_CODES.find((candidate) => candidate === reason);
    if (domain !== ERROR_DOMAIN || code === undefined) return undefined;
    const { hint, details: more } = metadata as { hint?: string; details?: string };
    return {
      code,
      options: {
        ...(hint === undefined ? {} : { hint }),
        ...(more === undefined ? {} : { details: { ...(JSON.parse(more) as object) } }),
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
  if (grpcStatus === UNIMPLEMENTED || grpcStatus === OUT_OF_RANGE) return 'invalid';
  if (grpcStatus === FAILED_PRECONDITION || grpcStatus === ABORTED) return 'conflict';
  return 'internal';
}
