import { ERROR_CODES, ShoalError } from '../../common/errors.js';
import type { Problem__Output } from '../../proto/gen/shoal/control/v1/Problem.js';

/** What the daemon told as part of an answer, as the error that it is. */
export function errorOf({ code, message, hint }: Problem__Output): ShoalError {
  const known = ERROR_CODES.find((candidate) => candidate === code) ?? 'internal';
  return new ShoalError(known, message, hint === '' ? {} : { hint });
}
