import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';
import { type ErrorCode, HTTP_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import type { Problem } from '../../index-server/api/statements.js';

/*
 * Failures as RFC 9457 problem details. What nobody foresaw is for the log; the caller is told that it happened.
 */

/** An error as problem details. `details.status` takes the place of the status of its code. */
function problemOf(error: ShoalError): Problem {
  const { status = HTTP_STATUS[error.code], candidates } = (error.details ?? {}) as {
    status?: number;
    candidates?: string[];
  };
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? error.code,
    status,
    detail: detailOf(error),
    code: error.code,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(candidates !== undefined && { candidates }),
  };
}

/**
 * Writes an error as the answer; `details.allow` and `details.retryAfterSeconds` become headers, `extra` members of the
 * body. Must come before any byte of another answer.
 */
export function sendProblem(
  response: Response,
  error: ShoalError,
  extra: Readonly<Record<string, unknown>> = {},
): void {
  const { allow, retryAfterSeconds } = (error.details ?? {}) as { allow?: string; retryAfterSeconds?: number };
  const problem = problemOf(error);
  const body = Buffer.from(JSON.stringify({ ...problem, ...extra }));
  if (allow !== undefined) response.setHeader('Allow', allow);
  if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds));
  if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="shoal"');
  response.setHeader('Cache-Control', 'no-store');
  response.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': body.length,
  });
  response.end(body);
}

/** What a caller is told of an error. */
export function detailOf(error: ShoalError): string {
  return error.code === 'internal'
    ? "the peer failed in a way that nobody foresaw; the peer's log says more"
    : error.message;
}

/** A method that a path does not have. */
export function methodNotAllowed(method: string, allow: string): ShoalError {
  return new ShoalError('invalid', `${method} is not offered here`, { details: { status: 405, allow } });
}

/** The 401 of a request that acts as nobody. */
export function unauthenticated(reason: string): ShoalError {
  return new ShoalError('unauthenticated', `no access: ${reason}`, {
    hint: 'send a session of the index: Authorization: Bearer TOKEN',
  });
}

const BODY_PROBLEMS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  'entity.too.large': ['too_large', 'the request body is too large'],
  'entity.parse.failed': ['invalid', 'the request body is not valid JSON'],
  'encoding.unsupported': ['invalid', 'the content encoding of the request body is not supported'],
  'charset.unsupported': ['invalid', 'the charset of the request body is not supported'],
  'request.aborted': ['cancelled', 'the request was aborted'],
  'request.size.invalid': ['invalid', 'the request body is not as long as its Content-Length says'],
};

/** Whatever Express, its body parser or a handler threw, as a {@link ShoalError}. */
export function fromHttpError(thrown: unknown): ShoalError {
  if (thrown instanceof ShoalError || !(thrown instanceof Error)) return toShoalError(thrown);
  const { status, type } = thrown as Error & { status?: unknown; type?: unknown };
  const known = typeof type === 'string' ? BODY_PROBLEMS[type] : undefined;
  if (known !== undefined) return new ShoalError(known[0], known[1], { cause: thrown });
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new ShoalError('invalid', thrown.message, { cause: thrown });
  }
  return toShoalError(thrown);
}
