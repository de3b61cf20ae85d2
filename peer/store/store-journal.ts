import fs from 'node:fs';
import { ShoalError } from '../../common/errors.js';
import { Lane } from '../../common/lane.js';
import { ChunkSet, type ReadonlyChunkSet } from '../chunk-set.js';
import type { FdCache } from './fd-cache.js';
import { isMissing, removeIfThere, storageError, writeFully } from './file-io.js';
import type { StorePaths } from './store-paths.js';

/*
 * Which chunks of a partial file are held, as a log of entries of 8 bytes: the chunk number with the highest bit set
 * when the chunk was lost, and a check over it. It is written after the chunk's bytes were, so it never claims what
 * was not written before the process ended. It is not synced: the header names the boot of the machine under which
 * it was written, and after another boot the claims have to be checked against the bytes.
 */
const MAGIC = 'SHOALJ01';
const HEADER_BYTES = 64;
const ENTRY_BYTES = 8;
const LOST = 0x8000_0000;

/** What a journal says. `boot` is where it was written; undefined when that cannot be read. */
export interface JournalClaim {
  readonly held: ChunkSet;
  readonly boot: string | undefined;
  /** Entries that were damaged, and ignored. One cut off at the end is not counted. */
  readonly damagedEntries: number;
}

/** Reads the journal of a file of `chunkCount` chunks; a missing one claims nothing. Throws what open(2) and read(2) say. */
export function readJournalSync(path: string, chunkCount: number): JournalClaim {
  const held = new ChunkSet(chunkCount);
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return { held, boot: undefined, damagedEntries: 0 };
    throw error;
  }
  let damagedEntries = 0;
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const entry = bytes.readUInt32LE(at);
    const index = entry & ~LOST;
    if (bytes.readUInt32LE(at + 4) !== checkOf(entry) || index >= chunkCount) damagedEntries += 1;
    else if ((entry & LOST) !== 0) held.delete(index);
    else held.add(index);
  }
  return { held, boot: bootOf(bytes), damagedEntries };
}

/** Writes the journal of one file. Every call settles when what it says stands in the page cache. */
export class StoreJournal {
  readonly #fds: FdCache;
  readonly #paths: StorePaths;
  readonly #id: string;
  readonly #boot: string;
  readonly #lane = new Lane(1);
  #pending: number[] = [];
  #flush: Promise<void> | undefined;
  #end: number | undefined;
  #isClosed = false;

  /** Continues a journal that was just read from disk, or begins one. */
  constructor(
    deps: { readonly fds: FdCache; readonly paths: StorePaths },
    file: { readonly id: string; readonly boot: string },
  ) {
    this.#fds = deps.fds;
    this.#paths = deps.paths;
    this.#id = file.id;
    this.#boot = file.boot;
  }

  /** Notes that a chunk is held. Those that come while a write is under way go together in the next. */
  add(index: number): Promise<void> {
    return this.#append(index);
  }

  /** Notes that a chunk was lost. */
  forget(index: number): Promise<void> {
    return this.#append(index | LOST);
  }

  /** Replaces the journal by one that claims exactly `held`, under the current boot, in one step. */
  replace(held: ReadonlyChunkSet): Promise<void> {
    return this.#lane.run(async () => {
      this.#refuseWhenClosed();
      const bytes = Buffer.concat([header(this.#boot), encode([...held])]);
      const temporary = this.#paths.newTemporary();
      try {
        await fs.promises.writeFile(temporary, bytes, { flag: 'wx', mode: 0o600 });
        this.#fds.drop(this.#path);
        await fs.promises.rename(temporary, this.#path);
      } catch (error) {
        await removeIfThere(temporary);
        throw storageError(`noting the chunks of ${this.#id}`, error);
      }
      this.#end = bytes.length;
    });
  }

  /** Deletes the journal; a later call of another method begins it anew. */
  remove(): Promise<void> {
    return this.#lane.run(async () => {
      this.#fds.drop(this.#path);
      this.#end = undefined;
      await removeIfThere(this.#path);
    });
  }

  /** Writes nothing from now on: every later call is refused. Resolves when the last write is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lane.run(async () => {});
  }

  get #path(): string {
    return this.#paths.journal(this.#id);
  }

  #append(entry: number): Promise<void> {
    this.#pending.push(entry);
    this.#flush ??= this.#lane.run(() => {
      const entries = this.#pending;
      this.#pending = [];
      this.#flush = undefined;
      return this.#write(entries);
    });
    return this.#flush;
  }

  async #write(entries: readonly number[]): Promise<void> {
    this.#refuseWhenClosed();
    let file: ReturnType<FdCache['borrow']> | undefined;
    try {
      file = this.#fds.borrow(this.#path, 'create');
      const end = this.#end ?? fs.fstatSync(file.fd).size;
      const isNew = end < HEADER_BYTES;
      // What follows the last whole entry was cut off by a crash.
      const start = isNew ? 0 : end - ((end - HEADER_BYTES) % ENTRY_BYTES);
      const pieces = isNew ? [header(this.#boot), encode(entries)] : [encode(entries)];
      await writeFully(file.fd, pieces, start);
      this.#end = start + pieces.reduce((sum, piece) => sum + piece.length, 0);
    } catch (error) {
      throw storageError(`noting the chunks of ${this.#id}`, error);
    } finally {
      file?.release();
    }
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new ShoalError('not_found', `file ${this.#id} was removed`);
  }
}

function header(boot: string): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC + boot, 'latin1');
  return bytes;
}

function bootOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1', 0, HEADER_BYTES).replace(/\0+$/, '');
  return text.startsWith(MAGIC) && text.length > MAGIC.length ? text.slice(MAGIC.length) : undefined;
}

function encode(entries: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(entries.length * ENTRY_BYTES);
  entries.forEach((entry, i) => {
    bytes.writeUInt32LE(entry >>> 0, i * ENTRY_BYTES);
    bytes.writeUInt32LE(checkOf(entry), i * ENTRY_BYTES + 4);
  });
  return bytes;
}

/** Tells an entry from zeros and torn bytes. Knuth's multiplicative hash; what a liar could do, he could do to the data too. */
function checkOf(entry: number): number {
  return (Math.imul(entry, 2654435761) ^ 0x53484a31) >>> 0;
}
