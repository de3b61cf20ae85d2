import { blake3Of, DIGEST_BYTES } from '../manifest.js';
import { readFullySync } from './file-io.js';

/*
 * The form of the redo log on disk: a header that names the boot of the machine, then entries. An entry is the lengths of
 * an info file and of data (u32 each; NONE: the entry has none), the id of the file, both, and BLAKE3 of all that. What
 * follows an entry that is not whole was never acknowledged.
 */

const MAGIC = 'SHOALL01';
/** Bytes before the first entry. */
export const HEADER_BYTES = 64;
const NONE = 0xffff_ffff;
const ID_BYTES = 32;
const FIXED_BYTES = 4 + 4 + ID_BYTES;

/** What is to be made true of a file again after a crash of the machine: without `info` it is gone. */
export interface RedoEntry {
  readonly id: string;
  /** Its info file. */
  readonly info?: Buffer;
  /** Its content, if it came with this entry. */
  readonly data?: Buffer;
}

/** The beginning of a log. */
export function encodeHeader(boot: string): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC + boot, 'latin1');
  return bytes;
}

/** Under which boot an open log was written; undefined when that cannot be read. */
export function readHeader(fd: number): string | undefined {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const text = readFullySync(fd, bytes, 0) === HEADER_BYTES ? bytes.toString('latin1').replace(/\0+$/, '') : '';
  return text.startsWith(MAGIC) && text.length > MAGIC.length ? text.slice(MAGIC.length) : undefined;
}

/** The form of an entry, in pieces. */
export function encodeEntry({ id, info, data }: RedoEntry): Buffer[] {
  const fixed = Buffer.allocUnsafe(FIXED_BYTES);
  fixed.writeUInt32LE(info?.length ?? NONE, 0);
  fixed.writeUInt32LE(data?.length ?? NONE, 4);
  fixed.write(id, 8, 'hex');
  const pieces = [fixed, info, data].filter((piece) => piece !== undefined);
  return [...pieces, blake3Of(pieces)];
}

/** An entry, and where in the log it ends. */
export interface ReadEntry extends RedoEntry {
  readonly end: number;
}

/** The whole entries of an open log, in order, from where one begins; what is before the first that is not whole. */
export function* readEntries(fd: number, from: number = HEADER_BYTES): Generator<ReadEntry> {
  const fixed = Buffer.allocUnsafe(FIXED_BYTES);
  for (let at = from; readFullySync(fd, fixed, at) === FIXED_BYTES; ) {
    const infoBytes = lengthAt(fixed, 0);
    const dataBytes = lengthAt(fixed, 4);
    const bodyBytes = (infoBytes ?? 0) + (dataBytes ?? 0);
    if (bodyBytes > MOST_BYTES) return;
    const rest = Buffer.allocUnsafe(bodyBytes + DIGEST_BYTES);
    if (readFullySync(fd, rest, at + FIXED_BYTES) < rest.length) return;
    const body = rest.subarray(0, bodyBytes);
    if (!blake3Of([fixed, body]).equals(rest.subarray(bodyBytes))) return;
    at += FIXED_BYTES + rest.length;
    yield {
      id: fixed.toString('hex', 8),
      ...(infoBytes !== undefined && { info: body.subarray(0, infoBytes) }),
      ...(dataBytes !== undefined && { data: body.subarray(infoBytes ?? 0) }),
      end: at,
    };
  }
}

/** More than any entry has: lengths beyond it are no lengths. */
const MOST_BYTES = 64 * 1024 * 1024;

function lengthAt(bytes: Buffer, offset: number): number | undefined {
  const length = bytes.readUInt32LE(offset);
  return length === NONE ? undefined : length;
}
