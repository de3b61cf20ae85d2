import type { ServerResponse } from 'node:http';
import { ShoalError } from '../../common/errors.js';
import { unlessAborted } from '../abort.js';

/** Fires with `cancelled` when the client goes away before it has got the whole answer. */
export function clientGone(response: ServerResponse): AbortController {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new ShoalError('cancelled', 'the client went away'));
  });
  return controller;
}

/** Resolves when the response can take more bytes; throws `timeout` when the client takes none for `idleMs`. */
export async function drained(response: ServerResponse, idleMs: number, signal: AbortSignal): Promise<void> {
  let onDrain: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  const drain = new Promise<void>((resolve, reject) => {
    onDrain = resolve;
    response.once('drain', onDrain);
    timer = setTimeout(() => reject(new ShoalError('timeout', `the client took no byte for ${idleMs} ms`)), idleMs);
  });
  try {
    await unlessAborted(drain, signal);
  } finally {
    clearTimeout(timer);
    response.removeListener('drain', onDrain);
  }
}
