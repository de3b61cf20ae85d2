import { chunkCountFor, DIGEST_BYTES } from '../manifest.js';

/** File systems hand out room in pieces of this size, nearly all of them. */
const BLOCK_BYTES = 4096;
/** Of an info file, what is not the manifest's digests: a few records and the like. */
const NOTES_BYTES = 2048;
/** Of the folder that a file is in: two names in blocks that are more than half full. */
const NAMES_BYTES = 512;

/** What a file of `size` bytes takes on the disk: its content and its info file in whole blocks, and their names. */
export function footprintOf(size: number): number {
  return inBlocks(size) + inBlocks(NOTES_BYTES + chunkCountFor(size) * DIGEST_BYTES) + NAMES_BYTES;
}

function inBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
