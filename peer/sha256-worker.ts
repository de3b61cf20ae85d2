import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { Sha256Reply, Sha256Request } from './sha256-thread.js';

/** A thread that does nothing but SHA-256, of several streams at once, from blocks that it is lent. */
function serve(port: NonNullable<typeof parentPort>): void {
  const hashes = new Map<number, Hash>();
  port.on('message', (request: Sha256Request) => {
    const { id } = request;
    const hash = hashes.get(id) ?? createHash('sha256');
    hashes.set(id, hash);
    if (request.type === 'block') {
      const { block, length } = request;
      hash.update(block.subarray(0, length));
      port.postMessage({ type: 'block', block } satisfies Sha256Reply, [block.buffer]);
    } else {
      hashes.delete(id);
      port.postMessage({ type: 'end', id, sha256: hash.digest('hex') } satisfies Sha256Reply);
    }
  });
}

if (parentPort === null) throw new Error('sha256-worker is started by a hash worker, as a worker thread');
serve(parentPort);
