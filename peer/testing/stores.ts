import { createCipheriv, createHash } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { ChunkStore, type StoredFile } from '../chunk-store.js';
import { blake3, chunkBytesFor, encodeManifest, type Manifest } from '../manifest.js';
import type { IngestOptions } from '../store/ingest.js';
import { FailingDisk } from './failing-disk.js';

/** Bytes that look random and are the same for the same seed. `store-child.mjs` makes the same ones. */
export function contentOf(size: number, seed: number): Buffer {
  const key = createHash('md5').update(String(seed)).digest();
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** The manifest of some bytes, made without the store's help. */
export function manifestOf(content: Buffer): Manifest {
  const chunkBytes = chunkBytesFor(content.length);
  const digests: Buffer[] = [];
  for (let at = 0; at < content.length; at += chunkBytes) digests.push(blake3(content.subarray(at, at + chunkBytes)));
  return encodeManifest({ size: content.length, chunkBytes, digests: Buffer.concat(digests) });
}

/** The bytes of one chunk. */
export function chunkOf(content: Buffer, index: number): Buffer {
  const chunkBytes = chunkBytesFor(content.length);
  return content.subarray(index * chunkBytes, (index + 1) * chunkBytes);
}

/** SHA-256 in hex. */
export function sha256Of(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Everything that a file gives when it is read from begin to end. */
export async function contentIn(file: StoredFile): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of file.read({ offset: 0, length: file.size })) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Ingest options of somebody who neither stops nor watches. */
export function patiently(): IngestOptions {
  return { signal: new AbortController().signal, onProgress: () => {} };
}

/** A stream of these buffers. */
export async function* streamOf(...buffers: Buffer[]): AsyncGenerator<Buffer> {
  yield* buffers;
}

/** A store in a folder of its own, which can be closed, tampered with, and opened again. */
export class StoreFixture {
  readonly root = fs.mkdtempSync(join(tmpdir(), 'shoal-store-'));
  readonly dir = join(this.root, 'store');
  /** What was logged at level warn and above. */
  readonly logged: { level: number; msg: string; id?: string; error?: { code?: string } }[] = [];
  /** Takes everything unless it is told not to. */
  readonly disk = new FailingDisk({ threads: 1 });
  #store: ChunkStore | undefined;

  /** Opens the store, having closed it when it was open. */
  async open(options: { readonly quotaBytes?: number; readonly reserveBytes?: number } = {}): Promise<ChunkStore> {
    await this.#store?.close();
    const log = pino({ level: 'warn' }, { write: (line: string) => this.logged.push(JSON.parse(line)) });
    const store = new ChunkStore(
      { log, hasher: this.disk },
      { dir: this.dir, quotaBytes: options.quotaBytes ?? 0, reserveBytes: options.reserveBytes ?? 0 },
    );
    await store.open();
    this.#store = store;
    return store;
  }

  /** Closes the store, for the test to look at its folder. */
  async close(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  /** Path of a source file with this content. */
  source(name: string, content: Buffer): string {
    const path = join(this.root, name);
    fs.writeFileSync(path, content);
    return path;
  }

  /** Path of one of the files that the store keeps for an id. */
  pathOf(id: string, suffix: '.data' | '.info' | '.have'): string {
    return join(this.dir, 'files', id.slice(0, 2), id + suffix);
  }

  /** Names of all files in the store's folder but its lock and its logs. */
  everyFile(): string[] {
    return fs
      .readdirSync(this.dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'lock' && !entry.parentPath.endsWith('/redo'))
      .map((entry) => entry.name)
      .sort();
  }

  /** Ends everything and deletes the folder. */
  async dispose(): Promise<void> {
    await this.close();
    await this.disk.close();
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
