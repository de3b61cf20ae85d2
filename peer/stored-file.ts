import type { ReadonlyChunkSet } from './chunk-set.js';
import type { Manifest } from './manifest.js';

/**
 * A file in the chunk store, whole or in part. Everything fails with `not_found` once the file was removed, and with
 * `unavailable` once the store was closed; calls that are under way then finish or fail in the same way.
 */
export interface StoredFile {
  /** File id. */
  readonly id: string;
  /** Size of the whole file in bytes. */
  readonly size: number;
  /** Read from disk when it has not been used for a while; throws `corrupt` when it cannot be. */
  readonly manifest: Manifest;
  /** The chunks that are held, verified. Changes as they come and go. */
  readonly have: ReadonlyChunkSet;
  /** Whether every chunk is held. */
  readonly isComplete: boolean;
  /** Whether chunks of it were found damaged here, and it has not been whole since. Survives a restart. */
  readonly isDamaged: boolean;
  /** SHA-256 of the content in lower-case hex; undefined while nobody told. Read, and may throw, as {@link manifest}. */
  readonly sha256: string | undefined;
  /** The signed records kept beside the file. Read, and may throw, as {@link manifest}. */
  readonly records: readonly string[];

  /**
   * Replaces the records. Durable when it resolves if the file is complete. Throws `conflict` when this store computed
   * another SHA-256 for the content itself.
   */
  setRecords(records: readonly string[], meta: { readonly sha256: string }): Promise<void>;

  /**
   * Bytes of a held chunk, the whole of it unless a part is named. Throws `not_found` when it is not held, `invalid`
   * when the part is not within it, and `corrupt` when the disk does not give the bytes: the chunk is then forgotten.
   */
  readChunk(index: number, offset?: number, length?: number): Promise<Buffer>;

  /**
   * A held chunk, checked against its digest on the calling thread (a millisecond at the most): for bytes that nobody
   * checks after us. `target` is where to put it, exactly its size. Throws as {@link readChunk}, and `corrupt` when the
   * bytes are not those of the manifest: the chunk is then forgotten.
   */
  readVerified(index: number, target?: Buffer): Promise<Buffer>;

  /** {@link readVerified} without giving it: for chunks that are too large to be kept in memory. Reads into `scratch`. */
  checkChunk(index: number, scratch: Buffer): Promise<void>;

  /** {@link readChunk} from `offset` on into all of `target`, without a copy: the sender's hot path. */
  readInto(index: number, offset: number, target: Buffer): Promise<void>;

  /** {@link readChunk} into a buffer of the caller's, on the calling thread: for bytes that are in the page cache. */
  readSync(index: number, offset: number, target: Buffer, targetOffset: number, length: number): void;

  /**
   * Verifies a chunk and keeps it. True when it is new, false when it was there. The chunk then survives the end of this
   * process; it survives that of the machine after {@link whenDurable}. Throws `corrupt` when the bytes are not those
   * of the manifest, and `exhausted` when the disk is full; nothing is kept of it then. The bytes must not change
   * until it resolves.
   */
  writeChunk(index: number, data: Buffer | readonly Buffer[]): Promise<boolean>;

  /** Calls `listener` with each chunk from now on, the moment it is verified and can be read. Returns what ends that. */
  onVerified(listener: (index: number) => void): () => void;

  /**
   * Bytes of the file, verified, in pieces of at most 1 MiB. Throws `invalid` when the range is not within the file,
   * otherwise as {@link readVerified}.
   */
  read(range: { readonly offset: number; readonly length: number }): AsyncIterable<Buffer>;

  /**
   * Reads and hashes every held chunk; those that are damaged are forgotten. `onProgress` is told bytes.
   * Throws what `signal` says when it fires.
   */
  verify(
    signal: AbortSignal,
    onProgress: (doneBytes: number, totalBytes: number) => void,
  ): Promise<{ readonly chunks: number; readonly damaged: readonly number[] }>;

  /**
   * Makes the open file `fd` (named `path` in errors) a copy of this one, which must be complete: without copying bytes
   * where the file system can share them. Holes stay holes. Before that, the chunks in `unchecked` are verified, all of
   * them unless named: a caller that has just seen some arrive may leave those out. Throws `corrupt`, with nothing
   * written, when one is damaged; such chunks are forgotten.
   */
  copyTo(fd: number, path: string, unchecked?: readonly number[]): Promise<void>;

  /** Resolves when the file is complete and survives a crash of the machine; rejects when it cannot become so. */
  whenDurable(): Promise<void>;
}
