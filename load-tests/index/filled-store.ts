import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FileRow } from '../../index-server/catalog.js';
import { openToFill } from '../../index-server/open-catalog.js';
import { OWNER_NAMES } from './planned-catalogue.js';
import { newSigningKey, RecordSigner } from './record-signer.js';
import type { RowPage } from './row-worker.js';

/*
 * A store with many files in it, filled through the catalogue's own interface: the way in which records come back after
 * a store was lost, without HTTP and without the check of a million signatures. Peers and what they hold are not in it:
 * they come through the index's real door.
 */

// Threads run what was built, also where a test runs this file from its source.
const WORKER_URL = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/load-tests/index/row-worker.js' : './row-worker.js',
  import.meta.url,
);
const PAGE = 4000;

/** A folder for an index to start on. */
export interface FilledStore {
  readonly folder: string;
  /** How long it took to fill; undefined when it was there already. */
  readonly fillSeconds: number | undefined;
  readonly bytes: number;
  readonly signer: RecordSigner;
}

/** What to fill and where. */
export interface FillOptions {
  readonly folder: string;
  readonly files: number;
  readonly signal: AbortSignal;
  /** Told now and then. */
  progress(done: number): void;
}

/** The store in `folder`, filled unless it is there. Half a store is never left behind under that name. */
export async function filledStore(options: FillOptions): Promise<FilledStore> {
  const { folder } = options;
  const fillSeconds = (await isThere(folder)) ? undefined : await fill(options);
  const pem = await readFile(join(folder, 'signing-key.pem'), 'utf8');
  const { size } = await stat(join(folder, 'catalog.db'));
  return { folder, fillSeconds, bytes: size, signer: new RecordSigner(createPrivateKey(pem)) };
}

async function fill({ folder, files, signal, progress }: FillOptions): Promise<number> {
  const draft = `${folder}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const pem = newSigningKey();
  await writeFile(join(draft, 'signing-key.pem'), pem, { mode: 0o600 });
  const beganMs = performance.now();
  const worker = new Worker(WORKER_URL, { workerData: pem });
  const catalog = await openToFill(join(draft, 'catalog.db'));
  try {
    for (const name of OWNER_NAMES) {
      await catalog.createUser({ id: name, name, passwordHash: null, locked: true, createdAt: 0 });
    }
    let rows = await rowsOf(worker, { first: 0, files });
    for (let first = 0; first < files; first += PAGE) {
      signal.throwIfAborted();
      const [taken, next] = await Promise.all([catalog.restore(rows), rowsOf(worker, { first: first + PAGE, files })]);
      if (taken !== rows.length) throw new Error(`the catalogue took ${taken} of ${rows.length} files`);
      progress(first + rows.length);
      rows = next;
    }
  } finally {
    await worker.terminate();
    await catalog.close();
  }
  await rename(draft, folder);
  return (performance.now() - beganMs) / 1000;
}

async function rowsOf(
  worker: Worker,
  { first, files }: { readonly first: number; readonly files: number },
): Promise<readonly FileRow[]> {
  const length = Math.max(0, Math.min(PAGE, files - first));
  worker.postMessage({ first, length } satisfies RowPage);
  const [rows] = (await once(worker, 'message')) as [readonly FileRow[]];
  return rows;
}

async function isThere(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
