import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { abortError, ShoalError } from '../../common/errors.js';
import { Lane } from '../../common/lane.js';
import type { Hasher } from '../hasher.js';
import { chunkBytesFor, encodeManifest, type Manifest, manifestOf } from '../manifest.js';
import { abortable } from './abortable.js';
import { readFullySync, storageError, systemCode, writeFully } from './file-io.js';
import { footprintOf } from './footprint.js';
import type { Reservation, Space } from './space.js';
import { Spool } from './spool.js';
import type { StorePaths } from './store-paths.js';
import { StreamWriter } from './stream-writer.js';
import type { Syncer } from './syncer.js';

/**
 * Where the bytes of a new file come from: a path; a descriptor of a regular file, which stays the caller's and must
 * stay open until the ingest has settled; a small file's bytes, hashed on the calling thread; or a stream, of which `size` says how long it will be when that is known.
 * Its pieces must not change until they are released, if they ever are.
 */
export type IngestSource =
  | { readonly path: string }
  | { readonly fd: number }
  | { readonly bytes: Buffer }
  | StreamSource;

/** Bytes that come one piece after the other. */
export interface StreamSource {
  readonly stream: AsyncIterable<Buffer>;
  /** In bytes, when it is known. */
  readonly size?: number;
  /** Takes a piece back that was written. */
  readonly release?: (piece: Buffer) => void;
}

/** How an ingest is told to stop, and where it tells how far it is; the total is 0 while nobody knows it. */
export interface IngestOptions {
  readonly signal: AbortSignal;
  onProgress(doneBytes: number, totalBytes: number): void;
  /**
   * Told when the file is in the store, before its removal can begin: who keeps it from being removed from here on is never
   * too late.
   */
  onKept?(id: string): void;
  /** Records of the file, known to be good: then it has them from the start. */
  readonly records?: readonly string[];
  /**
   * Whether a new file is durable when it is here; it is when this is not given. If not, a crash of the machine may take
   * it, and only that: it is checked after one before it counts as held.
   */
  readonly isDurable?: boolean;
}

/** What ingests share. */
export interface IngestDeps {
  readonly hasher: Hasher;
  readonly syncer: Syncer;
  readonly space: Space;
  readonly paths: StorePaths;
}

// Each has a few files open, and waits for its syncs: more at once would not be faster.
const AT_ONCE = 32;

/** A spool that is full, and what it consists of. Not yet durable. */
export interface Ingested {
  readonly spool: Spool;
  readonly manifest: Manifest;
  readonly sha256: string;
}

/** Brings bytes into the file system of the store and hashes them; makes nothing durable or known. */
export class Ingester {
  readonly #deps: IngestDeps;
  readonly #lane = new Lane(AT_ONCE);

  constructor(deps: IngestDeps) {
    this.#deps = deps;
  }

  /**
   * Reads the source once. The result is of exactly the bytes that were stored. Throws `exhausted` before the first
   * byte when the size is known and does not fit, `conflict` when a source file changes meanwhile, `invalid` when it is
   * not a regular file or a stream is not as long as was said, and what `signal` says when it fires; nothing is left
   * then.
   */
  take(source: IngestSource, options: IngestOptions): Promise<Ingested> {
    if ('bytes' in source) return this.#takeBytes(source.bytes, options);
    if ('stream' in source) return this.#takeStream(source, options);
    return this.#lane.run(
      () => ('fd' in source ? this.#takeFile(source.fd, 'the file', options) : this.#takePath(source.path, options)),
      options.signal,
    );
  }

  /** A worker would take longer to be asked than this takes. */
  #takeBytes(bytes: Buffer, { signal, onProgress }: IngestOptions): Promise<Ingested> {
    return this.#fill(bytes.length, 'the file', async (spool) => {
      if (signal.aborted) throw abortError(signal);
      await writeFully(spool.fd, [bytes], 0);
      spool.wrote(bytes.length);
      onProgress(bytes.length, bytes.length);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return { spool, manifest: manifestOf(bytes), sha256 };
    });
  }

  async #takePath(path: string, options: IngestOptions): Promise<Ingested> {
    const file = await openSource(path);
    try {
      return await this.#takeFile(file.fd, path, options);
    } finally {
      await file.close();
    }
  }

  async #takeFile(fd: number, name: string, options: IngestOptions): Promise<Ingested> {
    const before = statusOf(fd, name);
    if (!before.isFile()) {
      throw new ShoalError('invalid', `${name} is not a regular file`, {
        hint: 'pipe its content in: shoal put - --as NAME',
      });
    }
    const size = Number(before.size);
    return this.#fill(size, name, async (spool) => {
      const ingested = await this.#hash(spool, { from: fd, size, to: spool.fd }, options).catch((error: unknown) => {
        throw error instanceof ShoalError && error.code === 'conflict' ? changedError(name, error) : error;
      });
      const after = fs.fstatSync(fd, { bigint: true });
      const hasMore = readFullySync(fd, Buffer.alloc(1), size) > 0;
      if (hasMore || after.size !== before.size || after.mtimeNs !== before.mtimeNs) throw changedError(name);
      return ingested;
    });
  }

  async #takeStream(
    { stream, size: announcedBytes, release }: StreamSource,
    options: IngestOptions,
  ): Promise<Ingested> {
    return this.#fill(announcedBytes ?? 0, 'the stream', async (spool) => {
      let size = 0;
      const writer = new StreamWriter(spool.fd, { onWritten: (bytes) => spool.wrote(bytes), release });
      try {
        for await (const data of abortable(stream, options.signal)) {
          if (announcedBytes === undefined) await makeRoom(spool.reservation, size + data.length);
          else if (size + data.length > announcedBytes) throw lengthError(announcedBytes, `more`);
          size += data.length;
          await writer.add(data);
          options.onProgress(size, announcedBytes ?? 0);
        }
        await writer.finish();
      } finally {
        await writer.settle();
      }
      if (announcedBytes !== undefined && size < announcedBytes) throw lengthError(announcedBytes, `only ${size}`);
      await spool.resize(size);
      const quiet = { signal: options.signal, onProgress: () => {} };
      return this.#lane.run(() => this.#hash(spool, { from: spool.fd, size, to: undefined }, quiet), options.signal);
    });
  }

  /** Runs `fill` with a new spool, which goes when that fails. */
  async #fill(bytes: number, name: string, fill: (spool: Spool) => Promise<Ingested>): Promise<Ingested> {
    const spool = await Spool.create(this.#deps, await this.#deps.space.reserve(footprintOf(bytes), name));
    try {
      return await fill(spool);
    } catch (error) {
      await spool.close();
      throw storageError(`storing ${name}`, error);
    }
  }

  async #hash(
    spool: Spool,
    job: { readonly from: number; readonly size: number; readonly to: number | undefined },
    options: IngestOptions,
  ): Promise<Ingested> {
    let doneBytes = 0;
    const advance = (bytes: number): void => {
      if (job.to !== undefined) spool.wrote(bytes - doneBytes);
      doneBytes = bytes;
      options.onProgress(bytes, job.size);
    };
    const { digests, sha256 } = await this.#deps.hasher.hash(job, { signal: options.signal, onProgress: advance });
    advance(job.size);
    const manifest = encodeManifest({
      size: job.size,
      chunkBytes: chunkBytesFor(job.size),
      digests: Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength),
    });
    return { spool, manifest, sha256 };
  }
}

/** Of larger files the notes may be smaller, since the chunks are larger: what was set aside is never too little. */
async function makeRoom(reservation: Reservation, size: number): Promise<void> {
  const bytes = footprintOf(size) - reservation.bytes;
  if (bytes > 0) await reservation.grow(bytes);
}

function statusOf(fd: number, name: string): fs.BigIntStats {
  try {
    return fs.fstatSync(fd, { bigint: true });
  } catch (error) {
    throw storageError(`reading ${name}`, error);
  }
}

async function openSource(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK, a named pipe that nobody writes to would hold the call, and a thread of the pool, for ever.
    return await fs.promises.open(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new ShoalError('not_found', `there is no file ${path}`, { cause: error });
    if (code === 'EACCES' || code === 'EPERM') {
      throw new ShoalError('denied', `the peer may not read ${path}`, { cause: error });
    }
    throw storageError(`opening ${path}`, error);
  }
}

function lengthError(announcedBytes: number, came: string): ShoalError {
  return new ShoalError('invalid', `${announcedBytes} bytes were announced, but ${came} came`);
}

function changedError(name: string, cause?: unknown): ShoalError {
  return new ShoalError('conflict', `${name} changed while it was being read`, {
    cause,
    hint: 'publish it again when nothing writes to it; what has no size of its own goes through a pipe',
  });
}
