import { STATUS_CODES } from 'node:http';
import type { ErrorRequestHandler, Response } from 'express';
import { type ErrorCode, HTTP_STATUS, ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { Problem } from './api/statements.js';

/*
 * Failures as RFC 9457 problem details: the one place where an error becomes an answer. What nobody foresaw is logged
 * with its cause and told to the caller as nothing more than `internal`.
 */

/** An error as problem details. Headers that belong to it (Retry-After, Allow) are for {@link sendProblem}. */
export function problemOf(error: ShoalError, status: number = HTTP_STATUS[error.code]): Problem {
  const { errors, candidates } = (error.details ?? {}) as Pick<Problem, 'errors' | 'candidates'>;
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? error.code,
    status,
    detail:
      error.code === 'internal' ? 'the index failed in a way that nobody foresaw; its log says more' : error.message,
    code: error.code,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(errors !== undefined && { errors }),
    ...(candidates !== undefined && { candidates }),
  };
}

/**
 * Writes an error as the answer. `extra` members are put beside the problem's own (RFC 9457, section 3.2).
 * `details.retryAfterSeconds`, `details.allow` and `details.status` (405 for a method that a path does not have) are
 * taken over.
 */
function sendProblem(response: Response, error: ShoalError, extra: Readonly<Record<string, unknown>> = {}): void {
  const { retryAfterSeconds, allow, status } = (error.details ?? {}) as {
    retryAfterSeconds?: number;
    allow?: string;
    status?: number;
  };
  if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds));
  if (allow !== undefined) response.setHeader('Allow', allow);
  if (error.code === 'unauthenticated') response.setHeader('WWW-Authenticate', 'Bearer realm="shoal"');
  const problem = problemOf(error, status);
  const body = JSON.stringify({ ...problem, ...extra });
  response.status(problem.status).type('application/problem+json').send(Buffer.from(body));
}

/** The last middleware: every error that reached it becomes a problem. */
export function problemHandler(deps: {
  readonly log: Logger;
  /** Members that the answers of some paths have besides. */
  readonly extraFor: (path: string, problem: ShoalError) => Readonly<Record<string, unknown>>;
}): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    const error = fromHttpError(thrown);
    // For the line that the request log writes: the reason, and not that there was one.
    if (HTTP_STATUS[error.code] >= 500) response.err = error;
    if (error.code === 'internal') deps.log.error({ error: thrown, requestId: request.id }, 'request failed');
    if (response.headersSent) {
      next(thrown);
      return;
    }
    sendProblem(response, error, deps.extraFor(request.path, error));
  };
}

const BODY_PROBLEMS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  'entity.too.large': ['too_large', 'the request body is too large'],
  'entity.parse.failed': ['invalid', 'the request body is not valid JSON'],
  'encoding.unsupported': ['invalid', 'the content encoding of the request body is not supported'],
  'charset.unsupported': ['invalid', 'the charset of the request body is not supported'],
  'request.aborted': ['cancelled', 'the request was aborted'],
  'request.size.invalid': ['invalid', 'the request body is not as long as its Content-Length says'],
};

/** Errors of Express and of its body parser carry a `status` and often a `type`. */
function fromHttpError(thrown: unknown): ShoalError {
  if (thrown instanceof ShoalError || !(thrown instanceof Error)) return toShoalError(thrown);
  const { status, type } = thrown as Error & { status?: unknown; type?: unknown };
  const known = typeof type === 'string' ? BODY_PROBLEMS[type] : undefined;
  if (known !== undefined) return new ShoalError(known[0], known[1], { cause: thrown });
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new ShoalError('invalid', thrown.message, { cause: thrown });
  }
  return toShoalError(thrown);
}
