import { abortError } from '../common/errors.js';

/**
 * To be awaited when the requests of a streaming call have come to their end: a client that cancelled or died ends them
 * just like one that has said all it had to say, and grpc-js tells of the cancellation only some ticks later. Resolves
 * when it was a proper end; throws what `signal`, which fires when the call is cancelled, says otherwise.
 */
export async function properEnd(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (signal.aborted) throw abortError(signal);
}
