import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { ShoalError } from '../../common/errors.js';

const MESSAGE_BYTES = 1024 * 1024;

/**
 * Sends a stream as `{ data }` messages of 1 MiB (the last one shorter), no faster than `requests` takes them, then
 * says `end`. When `signal` fires, both ends are let go at once. `size`, where known, is what must come out: a file that
 * changed meanwhile throws `invalid`.
 */
export async function sendData(
  source: Readable,
  requests: Writable,
  options: { readonly size: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const { size, signal } = options;
  const letGo = () => source.destroy();
  signal.addEventListener('abort', letGo, { once: true });
  try {
    let sentBytes = 0;
    for await (const data of inMessages(source)) {
      signal.throwIfAborted();
      sentBytes += data.length;
      if (!requests.write({ data })) await once(requests, 'drain', { signal });
    }
    signal.throwIfAborted();
    if (size !== undefined && sentBytes !== size) {
      throw new ShoalError('invalid', `the file changed while it was read: ${size} bytes before, ${sentBytes} now`);
    }
    requests.write({ end: {} });
    requests.end();
  } finally {
    signal.removeEventListener('abort', letGo);
  }
}

/** The same bytes in pieces of exactly {@link MESSAGE_BYTES}, the last one shorter. */
async function* inMessages(source: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const piece of source) {
    let rest: Buffer = typeof piece === 'string' ? Buffer.from(piece) : piece;
    while (pendingBytes + rest.length >= MESSAGE_BYTES) {
      const taken = MESSAGE_BYTES - pendingBytes;
      yield pendingBytes === 0 ? rest.subarray(0, taken) : Buffer.concat([...pending, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      pending = [];
      pendingBytes = 0;
    }
    if (rest.length === 0) continue;
    pending.push(rest);
    pendingBytes += rest.length;
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}
