import { Blake3Hasher, blake3 as blake3Native } from '@napi-rs/blake-hash';
import { ShoalError } from '../common/errors.js';

/** Bytes of a BLAKE3 digest. */
export const DIGEST_BYTES = 32;

const MAGIC = Buffer.from('SHOAL\x01', 'latin1');
const HEADER_BYTES = MAGIC.length + 8 + 4;
const MIN_CHUNK_BYTES = 64 * 1024;
const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
const FEW_CHUNKS = 4096;

/**
 * What a file consists of: its size, and the BLAKE3 digest of each chunk in order. Immutable.
 *
 * The canonical form is the bytes `SHOAL` 0x01, the size (u64), the chunk size (u32), both big-endian, and the digests;
 * the id of a file is the BLAKE3 of that form in lower-case hex. A content has one manifest: the chunk size follows
 * from the size. An empty file has no chunks.
 */
export interface Manifest {
  /** File id: 64 lower-case hex digits. */
  readonly id: string;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Bytes of each chunk but the last, which may be shorter. */
  readonly chunkBytes: number;
  /** How many chunks. */
  readonly chunkCount: number;
  /** The canonical form. Not to be written to. */
  readonly encoded: Buffer;
  /** Digest of a chunk, 32 bytes: a view, not to be written to. Throws `invalid` for a chunk that the file has not. */
  digest(index: number): Buffer;
  /** Bytes of a chunk. Throws `invalid` for a chunk that the file has not. */
  chunkLength(index: number): number;
}

/** The digests of all chunks, 32 bytes each: a view, not to be written to. */
export function digestsOf(manifest: Manifest): Buffer {
  return manifest.encoded.subarray(HEADER_BYTES);
}

class EncodedManifest implements Manifest {
  readonly id: string;
  readonly encoded: Buffer;
  readonly size: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;

  constructor(encoded: Buffer, id: string, size: number) {
    this.encoded = encoded;
    this.id = id;
    this.size = size;
    this.chunkBytes = chunkBytesFor(size);
    this.chunkCount = chunkCountFor(size);
  }

  digest(index: number): Buffer {
    this.#check(index);
    const start = HEADER_BYTES + index * DIGEST_BYTES;
    return this.encoded.subarray(start, start + DIGEST_BYTES);
  }

  chunkLength(index: number): number {
    this.#check(index);
    return Math.min(this.chunkBytes, this.size - index * this.chunkBytes);
  }

  #check(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.chunkCount) {
      throw new ShoalError('invalid', `file ${this.id} has ${this.chunkCount} chunks, none with the number ${index}`);
    }
  }
}

/** Chunk size in bytes of a file of `size` bytes: the smallest power of two from 64 KiB to 4 MiB that gives at most 4,096 chunks. */
export function chunkBytesFor(size: number): number {
  let chunkBytes = MIN_CHUNK_BYTES;
  while (chunkBytes < MAX_CHUNK_BYTES && size > chunkBytes * FEW_CHUNKS) chunkBytes *= 2;
  return chunkBytes;
}

/** How many chunks a file of `size` bytes has. */
export function chunkCountFor(size: number): number {
  return Math.ceil(size / chunkBytesFor(size));
}

/** BLAKE3 of some bytes, 32 bytes. Runs on the calling thread, at some GiB/s. */
export function blake3(data: Uint8Array): Buffer {
  return blake3Native(data);
}

/** BLAKE3 of several pieces in a row, 32 bytes. */
export function blake3Of(pieces: readonly Uint8Array[]): Buffer {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return blake3Native(only);
  const hasher = new Blake3();
  for (const piece of pieces) hasher.update(piece);
  return hasher.digest();
}

/** BLAKE3 of what comes a piece at a time. */
export class Blake3 {
  readonly #hasher = new Blake3Hasher();

  update(piece: Uint8Array): void {
    this.#hasher.update(piece);
  }

  /** 32 bytes. Call once, last. */
  digest(): Buffer {
    return this.#hasher.digestBuffer();
  }
}

/** File id of a manifest in canonical form. */
export function fileIdOf(encoded: Uint8Array): string {
  return blake3(encoded).toString('hex');
}

/**
 * The manifest of a file of `size` bytes whose chunks, each of {@link chunkBytesFor} bytes, have these digests (32
 * bytes each, in order). Throws `invalid` when the size is no size, or when chunk size or digests do not fit it.
 */
export function encodeManifest(parts: {
  readonly size: number;
  readonly chunkBytes: number;
  readonly digests: Buffer;
}): Manifest {
  const { size, chunkBytes, digests } = parts;
  if (!Number.isSafeInteger(size) || size < 0) throw new ShoalError('invalid', `${size} is not the size of a file`);
  if (chunkBytes !== chunkBytesFor(size)) {
    throw new ShoalError(
      'invalid',
      `a file of ${size} bytes has chunks of ${chunkBytesFor(size)} bytes, not ${chunkBytes}`,
    );
  }
  if (digests.length !== chunkCountFor(size) * DIGEST_BYTES) {
    throw new ShoalError(
      'invalid',
      `a file of ${size} bytes has ${chunkCountFor(size)} chunks, not ${digests.length / DIGEST_BYTES}`,
    );
  }
  // Not from the pool: a manifest is kept, and a piece of the pool keeps all of it.
  const encoded = Buffer.allocUnsafeSlow(HEADER_BYTES + digests.length);
  MAGIC.copy(encoded);
  encoded.writeBigUInt64BE(BigInt(size), MAGIC.length);
  encoded.writeUInt32BE(chunkBytes, MAGIC.length + 8);
  digests.copy(encoded, HEADER_BYTES);
  return new EncodedManifest(encoded, fileIdOf(encoded), size);
}

/**
 * Reads a manifest in canonical form; `bytes` is kept, unless it is a small part of something larger. Throws `corrupt`
 * unless it is the one manifest with this id.
 */
export function decodeManifest(bytes: Buffer, expectedId: string): Manifest {
  const problem = formProblem(bytes);
  if (problem !== undefined) throw new ShoalError('corrupt', `the manifest of ${expectedId} ${problem}`);
  const id = fileIdOf(bytes);
  if (id !== expectedId) throw new ShoalError('corrupt', `the manifest of ${expectedId} is that of ${id}`);
  return new EncodedManifest(alone(bytes), id, Number(bytes.readBigUInt64BE(MAGIC.length)));
}

/** Bytes that do not keep much more in memory than they are. */
function alone(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

function formProblem(bytes: Buffer): string | undefined {
  if (bytes.length < HEADER_BYTES) return `has only ${bytes.length} bytes`;
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 'begins with other bytes than a manifest does';
  const size = Number(bytes.readBigUInt64BE(MAGIC.length));
  if (!Number.isSafeInteger(size)) return `names a size of ${size} bytes`;
  const chunkBytes = bytes.readUInt32BE(MAGIC.length + 8);
  if (chunkBytes !== chunkBytesFor(size)) return `names a chunk size of ${chunkBytes} bytes for ${size} bytes`;
  const expected = HEADER_BYTES + chunkCountFor(size) * DIGEST_BYTES;
  if (bytes.length !== expected) return `has ${bytes.length} bytes instead of ${expected}`;
  return undefined;
}

/** The manifest of a file that has these bytes. */
export function manifestOf(bytes: Uint8Array): Manifest {
  const size = bytes.length;
  const chunkBytes = chunkBytesFor(size);
  const digests: Buffer[] = [];
  for (let at = 0; at < size; at += chunkBytes) digests.push(blake3(bytes.subarray(at, at + chunkBytes)));
  return encodeManifest({ size, chunkBytes, digests: Buffer.concat(digests) });
}
