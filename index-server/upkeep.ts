import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs `job` again and again, `everyMs` after it ended, until `signal` fires; resolves when the last run is over. A run
 * that fails is told to `failed` and changes nothing about the next.
 */
export async function runEvery(
  job: () => Promise<void>,
  { everyMs, signal, failed }: { readonly everyMs: number; readonly signal: AbortSignal; failed(error: unknown): void },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await job();
    } catch (error) {
      failed(error);
    }
    // The only thing that a delay rejects with is its signal, and the loop asks for that.
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
