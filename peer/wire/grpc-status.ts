import { ShoalError } from '../../common/errors.js';
import { DETAILS_KEY, errorOfStatus, statusOf } from '../rich-status.js';
import { WANTS_TLS } from '../tls/tls-trouble.js';
import { Http2Code } from './frames.js';
import { type Headers, headerValue } from './hpack.js';
import type { StreamEnd } from './http2-stream.js';

/*
 * How a gRPC call ended, on the wire: trailers (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md,
 * "Responses"), or an HTTP/2 error ("HTTP2 Transport Mapping").
 */

const OK = '0';
const GRPC_TYPE = 'application/grpc';

/** Whether headers begin an answer whose DATA are messages of gRPC. */
export function isGrpcAnswer(headers: Headers): boolean {
  const isGrpcType = headerValue(headers, 'content-type')?.startsWith(GRPC_TYPE) === true;
  return isGrpcType && headerValue(headers, ':status') === '200';
}

/** What the last headers of an answer say: undefined for success. */
export function errorOfHeaders(headers: Headers, address: string): ShoalError | undefined {
  const code = headerValue(headers, 'grpc-status');
  if (code === OK) return undefined;
  if (code === undefined || !/^\d{1,2}$/.test(code)) return noGrpc(headers, address);
  const message = decodeMessage(headerValue(headers, 'grpc-message') ?? '');
  const details = headerValue(headers, DETAILS_KEY);
  return errorOfStatus({ code: Number(code), message, details: bytesOf(details) });
}

/** For an answer that is none of gRPC: proxies and servers of other kinds give such. */
export function noGrpc(headers: Headers, address: string): ShoalError {
  const status = headerValue(headers, ':status');
  if (status === undefined) return new ShoalError('internal', `${address} ended the call without a status`);
  return new ShoalError('unavailable', `the answer of ${address}, HTTP ${status}, is not gRPC`);
}

/** Why a call ended without a status. */
export function errorOfEnd({ resetCode, cause }: StreamEnd, address: string): ShoalError {
  const hint = cause instanceof ShoalError ? cause.hint : undefined;
  const options = cause === undefined ? undefined : { cause, ...(hint !== undefined && { hint }) };
  if (resetCode === undefined) {
    return new ShoalError('unavailable', `${address}: ${cause?.message ?? 'the connection was lost'}`, options);
  }
  if (resetCode === Http2Code.refusedStream) return new ShoalError('unavailable', `${address} takes no more calls`);
  if (resetCode === Http2Code.inadequateSecurity) {
    return new ShoalError('denied', `${address} ${WANTS_TLS.message}`, { hint: WANTS_TLS.hint });
  }
  if (resetCode === Http2Code.cancel) return new ShoalError('cancelled', `${address} cancelled the call`);
  if (resetCode === Http2Code.enhanceYourCalm) return new ShoalError('throttled', `${address} is asked too much`);
  return new ShoalError('internal', `${address} reset the call with HTTP/2 error ${resetCode}`);
}

/** The headers with which an answer begins. */
export const ANSWER_HEADERS: Headers = [
  [':status', '200'],
  ['content-type', GRPC_TYPE],
];

/** The trailers that tell how a call ended; `failure` is undefined for success. */
export function trailersOf(failure: unknown): Headers {
  if (failure === undefined) return [['grpc-status', OK]];
  const { code, message, details } = statusOf(failure);
  return [
    ['grpc-status', String(code)],
    ['grpc-message', encodeMessage(message)],
    [DETAILS_KEY, details.toString('base64')],
  ];
}

/** Percent-encodes what the rule for Status-Message says, and some more. */
function encodeMessage(message: string): string {
  // Through bytes, since half a surrogate pair cannot be encoded.
  return encodeURI(Buffer.from(message).toString());
}

function decodeMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    // Whoever wrote it did not encode it: it is for people, so it is shown as it is.
    return message;
  }
}

/** A binary header, whose base64 may be padded or not. Some say an empty one for none. */
function bytesOf(value: string | undefined): Buffer | undefined {
  return value === undefined || value === '' ? undefined : Buffer.from(value, 'base64');
}
