import { abortError } from '../../common/errors.js';

/** The items of `stream`; throws at once when `signal` fires, also while the stream is silent. */
export async function* abortable<T>(stream: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = stream[Symbol.asyncIterator]();
  let isDone = false;
  try {
    while (!isDone) {
      const next = await nextOf(iterator, signal);
      isDone = next.done === true;
      if (next.done !== true) yield next.value;
    }
  } finally {
    // Not awaited: a silent source may never answer. How it ends does not matter to the ingest any more.
    if (!isDone) iterator.return?.().then(undefined, () => {});
  }
}

/** Not Promise.race with one promise for the signal: that would collect a reaction with each item. */
function nextOf<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
