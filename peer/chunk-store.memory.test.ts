import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLogger } from '../common/log.js';
import type { Signer } from '../index-server/signer.js';
import { ChunkStore } from './chunk-store.js';
import { Hasher } from './hasher.js';
import { claimsFor, newSigner } from './testing/signatures.js';

const FILES = 3000;
const AT_ONCE = 50;
/** Of memory for each file, a record of some 700 characters not included. */
const MOST_BYTES = 1000;

const log = createLogger({ name: 'test', level: 'silent' });

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function usedBytes(): number {
  for (let i = 0; i < 3; i += 1) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function put(store: ChunkStore, signer: Signer, number: number): Promise<void> {
  const how = { signal: new AbortController().signal, onProgress: () => {}, isDurable: false };
  const { file, sha256 } = await store.ingest({ bytes: Buffer.from(`content ${number}`) }, how);
  await file.setRecords([await signer.record(claimsFor(file.id, { name: `f${number}`, sha256 }))], { sha256 });
}

test('a file that is held takes little memory, its record none until it is asked for', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-memory-'));
  const hasher = new Hasher({ threads: 1 });
  const storeOf = () => new ChunkStore({ log, hasher }, { dir, quotaBytes: 0, reserveBytes: 0 });
  const signer = await newSigner();
  const filled = storeOf();
  await filled.open();
  // Some together, which the disk then takes at once: it may be slow.
  for (let first = 0; first < FILES; first += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => put(filled, signer, first + i)));
  }
  await filled.close();

  const beforeBytes = usedBytes();
  const store = storeOf();
  await store.open();
  const bytes = (usedBytes() - beforeBytes) / FILES;
  expect(store.list()).toHaveLength(FILES);
  expect(store.list().every((file) => file.records.length === 1)).toBe(true);
  expect(bytes).toBeLessThan(MOST_BYTES);
  await store.close();
  await hasher.close();
  await rm(dir, { recursive: true });
}, 60_000);
