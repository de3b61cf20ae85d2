import { createPrivateKey } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { FileRow } from '../../index-server/catalog.js';
import { RecordSigner } from './record-signer.js';

/*
 * Makes signed files on a thread of its own: a million signatures would keep whoever fills the store from doing so for a
 * minute. It is given the signing key (PEM), and told a page at a time.
 */

/** A page of files, by their numbers. */
export interface RowPage {
  readonly first: number;
  readonly length: number;
}

const signer = new RecordSigner(createPrivateKey(workerData as string));

parentPort?.on('message', ({ first, length }: RowPage) => {
  parentPort?.postMessage(Array.from({ length }, (_, i) => rowOf(first + i)));
});

function rowOf(number: number): FileRow {
  const { file, record } = signer.record(number);
  const { kind: _kind, only: _only, publishedAt, ...rest } = file;
  return { ...rest, publishedAt: Date.parse(publishedAt), record };
}
