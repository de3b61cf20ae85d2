import { type ErrorCode, ShoalError } from '../../common/errors.js';

/** What the file system's refusals mean to who asked for a file; others are faults that nobody foresaw. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'exhausted',
  EDQUOT: 'exhausted',
  EFBIG: 'exhausted',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  EEXIST: 'conflict',
  EISDIR: 'conflict',
  ENOTDIR: 'invalid',
  ENOTEMPTY: 'conflict',
  ENOENT: 'not_found',
  EINVAL: 'invalid',
  ELOOP: 'invalid',
  ENAMETOOLONG: 'invalid',
};

/** The hint when a file cannot be where it was to go. */
export const ELSEWHERE = 'say another place with --to PATH';

/**
 * The error to throw when something could not be written where the caller wants it. `attempt` says what was tried, with
 * the path as the caller knows it: `make the folder out`. An error that says enough already passes unchanged.
 */
export function writeError(attempt: string, error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new ShoalError(CODES[code] ?? 'internal', `cannot ${attempt}: ${message}`, {
    cause: error,
    hint: CODES[code] === 'exhausted' ? `free some space, or ${ELSEWHERE}` : ELSEWHERE,
  });
}
