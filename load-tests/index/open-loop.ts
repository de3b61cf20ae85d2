import { setTimeout as wait } from 'node:timers/promises';
import { type Percentiles, percentilesOf } from './percentiles.js';

/*
 * Load at a fixed rate, whatever the server does: request i is due at i / rate, and its time counts from then. A server
 * that stalls for a second is not spared the requests of that second, as it would be by clients that wait for an answer
 * before they ask again ("coordinated omission").
 */

/** What was found. */
export interface OpenLoopFigures extends Percentiles {
  /** From when the first request was due until the last answer. */
  readonly seconds: number;
  /** Mean size of an answer. */
  readonly answerBytes: number;
}

/** What to send: resolves to the size of the answer, rejects when it was not a good one. */
export type Send = (number: number) => Promise<number>;

/** How many requests are due `elapsedMs` after the first, which is due at once; at most `total`. */
export function dueAt(elapsedMs: number, { rate, total }: { readonly rate: number; readonly total: number }): number {
  return Math.min(total, Math.floor((elapsedMs * rate) / 1000) + 1);
}

/** Sends `rate` requests a second for `seconds`. Rejects when one of them failed. */
export async function runOpenLoop(
  send: Send,
  { rate, seconds, signal }: { readonly rate: number; readonly seconds: number; readonly signal: AbortSignal },
): Promise<OpenLoopFigures> {
  const total = Math.max(1, Math.round(rate * seconds));
  const times: number[] = [];
  const failures: unknown[] = [];
  const running: Promise<void>[] = [];
  let bytes = 0;
  const beganMs = performance.now();
  const one = async (number: number) => {
    try {
      const size = await send(number);
      bytes += size;
      times.push(performance.now() - beganMs - (number * 1000) / rate);
    } catch (error) {
      failures.push(error);
    }
  };
  while (running.length < total && failures.length === 0) {
    signal.throwIfAborted();
    const due = dueAt(performance.now() - beganMs, { rate, total });
    while (running.length < due) running.push(one(running.length));
    await wait(1);
  }
  await Promise.all(running);
  if (failures.length > 0) throw new Error(`${failures.length} requests failed`, { cause: failures[0] });
  return { ...percentilesOf(times), seconds: (performance.now() - beganMs) / 1000, answerBytes: bytes / total };
}
