/**
 * Every failure in Shoal is one of these kinds. The list is closed: the three tables below say how each looks at each
 * edge, and a test checks that none is missing.
 */
export const ERROR_CODES = [
  'invalid',
  'not_found',
  'denied',
  'unauthenticated',
  'conflict',
  'too_large',
  'exhausted',
  'throttled',
  'unavailable',
  'timeout',
  'cancelled',
  'corrupt',
  'internal',
] as const;

/** One of Shoal's kinds of failure. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What a {@link ShoalError} may carry besides its code and message. */
export interface ShoalErrorOptions {
  /** What a person can do about it, one sentence. */
  readonly hint?: string;
  /** The failure behind this one; kept always. */
  readonly cause?: unknown;
  /** Small machine-readable facts, such as `{ candidates: ['ann/a', 'bob/a'] }`. No secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The one error class. `message` names the input that was at fault and is fit to be shown to the caller. */
export class ShoalError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: ShoalErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ShoalError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** HTTP status of each code (RFC 9110; 499 is nginx's for a client that went away). */
export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthenticated: 401,
  denied: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  exhausted: 507,
  throttled: 429,
  unavailable: 503,
  timeout: 504,
  cancelled: 499,
  corrupt: 502,
  internal: 500,
};

/**
 * gRPC status of each code (https://grpc.io/docs/guides/status-codes/). Two pairs share a number; the reason in the
 * error's details tells them apart.
 */
export const GRPC_STATUS: Readonly<Record<ErrorCode, number>> = {
  cancelled: 1,
  invalid: 3,
  timeout: 4,
  not_found: 5,
  conflict: 6,
  denied: 7,
  exhausted: 8,
  too_large: 3,
  throttled: 8,
  internal: 13,
  unavailable: 14,
  corrupt: 15,
  unauthenticated: 16,
};

/** Exit status of the command line for each code; 0 is success and 130 an interrupt from the keyboard. */
export const EXIT_STATUS: Readonly<Record<ErrorCode, number>> = {
  internal: 1,
  invalid: 2,
  not_found: 3,
  denied: 4,
  unauthenticated: 4,
  unavailable: 5,
  corrupt: 6,
  timeout: 7,
  conflict: 8,
  exhausted: 9,
  too_large: 2,
  throttled: 4,
  cancelled: 130,
};

/**
 * Any thrown value as a {@link ShoalError}: those pass unchanged, an abort becomes `cancelled`, a full disk
 * `exhausted`, and what nobody foresaw `internal` with the original as its cause.
 */
export function toShoalError(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  if (!isErrorLike(error)) return new ShoalError('internal', String(error), { cause: error });
  if (error.name === 'TimeoutError') return new ShoalError('timeout', 'took too long', { cause: error });
  if (error.name === 'AbortError') return new ShoalError('cancelled', 'cancelled', { cause: error });
  const systemCode = error.code;
  if (systemCode === 'ENOSPC' || systemCode === 'EDQUOT') {
    return new ShoalError('exhausted', 'no space left on the disk', {
      cause: error,
      hint: 'free some space, or remove files with: shoal rm REF',
    });
  }
  return new ShoalError('internal', error.message, { cause: error });
}

/** The error to throw when `signal` has fired: its reason if that says more than "aborted", else `cancelled`. */
export function abortError(signal: AbortSignal): ShoalError {
  return toShoalError(signal.reason ?? new ShoalError('cancelled', 'cancelled'));
}

/** Errors of another realm, such as those of fetch and AbortSignal in a test's sandbox, are not `instanceof Error`. */
function isErrorLike(thrown: unknown): thrown is NodeJS.ErrnoException {
  if (thrown instanceof Error) return true;
  return typeof thrown === 'object' && thrown !== null && 'name' in thrown && 'message' in thrown;
}
