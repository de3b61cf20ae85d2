import { createHash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { RingTaker } from './block-ring.js';
import type { Sha256Reply, Sha256ThreadData } from './sha256-thread.js';

/** A thread that does nothing but SHA-256, of several streams at once, until it is terminated. */
function serve(port: NonNullable<typeof parentPort>, { ring }: Sha256ThreadData): never {
  const blocks = new RingTaker(ring);
  const hashes = new Map<number, Hash>();
  for (;;) {
    const { tag: stream, bytes } = blocks.next();
    const hash = hashes.get(stream) ?? createHash('sha256');
    hashes.set(stream, hash);
    if (bytes.length === 0) {
      hashes.delete(stream);
      port.postMessage({ stream, sha256: hash.digest('hex') } satisfies Sha256Reply);
    } else {
      hash.update(bytes);
    }
    blocks.giveBack();
  }
}

if (parentPort === null) throw new Error('sha256-worker is started by a hash worker, as a worker thread');
serve(parentPort, workerData as Sha256ThreadData);
