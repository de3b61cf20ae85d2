import type { ServerResponse } from 'node:http';
import { ShoalError } from '../../common/errors.js';
import { drained } from './abort.js';

/**
 * Writes `source`, which must give `length` bytes (at least one), as the body. `writeHead` is called when the first
 * bytes are there, so that a failure before them can still be told as a problem; the last bytes go out together with
 * the end, a small file in one write with its head. `onSent` is called with each piece when the system has it and its
 * memory may be used again; not for what a connection that breaks leaves behind. Throws when the source does; what was
 * written then is incomplete and the connection must be broken.
 */
export async function sendBody(
  response: ServerResponse,
  source: AsyncIterable<Buffer>,
  options: {
    readonly length: number;
    readonly writeHead: () => void;
    readonly onSent: (data: Buffer) => void;
    readonly idleMs: number;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  let sent = 0;
  for await (const data of source) {
    if (sent === 0) options.writeHead();
    sent += data.length;
    if (sent >= options.length) {
      response.end(data, () => options.onSent(data));
      return;
    }
    if (!response.write(data, (error) => error ?? options.onSent(data)))
      await drained(response, options.idleMs, options.signal);
  }
  throw new ShoalError('internal', `the file ended after ${sent} of ${options.length} bytes`);
}
