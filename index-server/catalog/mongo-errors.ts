import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';
import { ShoalError } from '../../common/errors.js';

/** Codes of the server: unauthorized, authentication failed. */
const REFUSED: readonly unknown[] = [13, 18];
const DUPLICATE = 11000;
/**
 * Codes of a server that is stopping, starting or no primary now, or cannot reach the others.
 * https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
 */
const NOT_NOW: readonly unknown[] = [6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436];
/** Of a name that cannot be looked up: for `mongodb+srv` they come as they are. */
const NO_NAME: readonly unknown[] = ['ENOTFOUND', 'EAI_AGAIN', 'ENODATA', 'ESERVFAIL', 'ETIMEOUT', 'ECONNREFUSED'];
const WHERE = 'is MongoDB running, and is SHOAL_STORE right?';

/** Whether a write failed because something with that _id or unique key is there. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE;
}

/** The same methods, with the driver's failures as {@link ShoalError}s. */
export function withStoreErrors<T extends object>(methods: T): T {
  const wrapped = Object.entries(methods).map(([name, method]: [string, (...args: unknown[]) => Promise<unknown>]) => [
    name,
    async (...args: unknown[]) => {
      try {
        return await method(...args);
      } catch (error) {
        throw storeError(error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}

const AWAY = [MongoServerSelectionError, MongoNetworkError, MongoOperationTimeoutError, MongoTopologyClosedError];

function awayError(cause: Error): ShoalError {
  return new ShoalError('unavailable', `MongoDB does not answer: ${cause.message}`, { cause, hint: WHERE });
}

function storeError(error: unknown): unknown {
  if (NO_NAME.includes((error as NodeJS.ErrnoException | undefined)?.code)) return awayError(error as Error);
  if (!(error instanceof MongoError)) return error;
  // Many writes in one call: what the driver met while it sent them comes wrapped as if the server had said it.
  if (error instanceof MongoBulkWriteError && error.errorResponse instanceof MongoError) {
    return storeError(error.errorResponse);
  }
  const options = { cause: error };
  if (error instanceof MongoServerError) {
    if (REFUSED.includes(error.code)) {
      const hint = 'are the user, the password and authSource in SHOAL_STORE right?';
      return new ShoalError('unavailable', `MongoDB refused the credentials of the index: ${error.message}`, {
        ...options,
        hint,
      });
    }
    if (NOT_NOW.includes(error.code) || error.hasErrorLabel('RetryableWriteError'))
      return new ShoalError('unavailable', `MongoDB cannot do this now: ${error.message}`, options);
    return new ShoalError('internal', `MongoDB refused: ${error.message}`, options);
  }
  if (AWAY.some((kind) => error instanceof kind)) return awayError(error);
  return new ShoalError('internal', `MongoDB failed: ${error.message}`, options);
}
