import {
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

function storeError(error: unknown): unknown {
  if (!(error instanceof MongoError)) return error;
  const options = { cause: error };
  if (error instanceof MongoServerError) {
    if (REFUSED.includes(error.code))
      return new ShoalError('unavailable', 'MongoDB refused the credentials of the index', options);
    if (error.hasErrorLabel('RetryableWriteError'))
      return new ShoalError('unavailable', `MongoDB cannot write now: ${error.message}`, options);
    return new ShoalError('internal', `MongoDB refused: ${error.message}`, options);
  }
  const isAway =
    error instanceof MongoServerSelectionError ||
    error instanceof MongoNetworkError ||
    error instanceof MongoOperationTimeoutError ||
    error instanceof MongoTopologyClosedError;
  if (isAway) return new ShoalError('unavailable', `MongoDB does not answer: ${error.message}`, options);
  return new ShoalError('internal', `MongoDB failed: ${error.message}`, options);
}
