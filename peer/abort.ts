import { abortError } from '../common/errors.js';

/** What `promise` resolves to, or what the signal says when it fires first. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * A signal that never fires, for calls that several wait for: they go on when one of those goes away, and end by themselves. A
 * new one each time, since on one for all those who listen until it fires would gather.
 */
export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
