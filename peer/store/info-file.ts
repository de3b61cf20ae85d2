import fs from 'node:fs';
import { z } from 'zod';
import { ShoalError } from '../../common/errors.js';
import { blake3Of, DIGEST_BYTES, decodeManifest, type Manifest } from '../manifest.js';
import { removeIfThere, storageError, writeFully } from './file-io.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

/** All that the store keeps of a file besides its bytes. */
export interface FileInfo {
  readonly manifest: Manifest;
  /** Whether every chunk is held and durable, but see `unsyncedBoot`. If not, the journal tells which are. */
  readonly isComplete: boolean;
  /** The boot of the machine in which a complete file was written, when nobody has waited for the disk. */
  readonly unsyncedBoot?: string | undefined;
  readonly sha256: string | undefined;
  /** Whether this store computed `sha256` itself. */
  readonly isHashedHere: boolean;
  readonly records: readonly string[];
  /** Whether chunks were found damaged since the file was last whole. */
  readonly isDamaged: boolean;
}

/*
 * The form on disk: MAGIC, two lengths (u32), a JSON header, the manifest, and BLAKE3 of all before it. One file for
 * all of it, since each file costs a sync when it becomes durable.
 */
const MAGIC = Buffer.from('SHOALI\x00\x01', 'latin1');
const FIXED_BYTES = MAGIC.length + 4 + 4;

const headerSchema = z.object({
  complete: z.boolean(),
  sha256: z.string().optional(),
  hashedHere: z.boolean(),
  records: z.array(z.string()),
  // Left out when it is not so: files from before there was such a field are read the same way.
  damaged: z.literal(true).optional(),
  unsyncedBoot: z.string().optional(),
});

/** The form on disk. */
export function encodeInfo(info: FileInfo): Buffer {
  const header = Buffer.from(
    JSON.stringify({
      complete: info.isComplete,
      sha256: info.sha256,
      hashedHere: info.isHashedHere,
      records: [...info.records],
      ...(info.isDamaged && { damaged: true }),
      ...(info.unsyncedBoot !== undefined && { unsyncedBoot: info.unsyncedBoot }),
    } satisfies z.input<typeof headerSchema>),
  );
  const fixed = Buffer.allocUnsafe(FIXED_BYTES);
  MAGIC.copy(fixed);
  fixed.writeUInt32LE(header.length, MAGIC.length);
  fixed.writeUInt32LE(info.manifest.encoded.length, MAGIC.length + 4);
  const parts = [fixed, header, info.manifest.encoded];
  return Buffer.concat([...parts, blake3Of(parts)]);
}

/** Reads the form on disk. Throws `corrupt` unless it is whole, unchanged, and that of the file `id`. */
export function decodeInfo(bytes: Buffer, id: string): FileInfo {
  const bodyBytes = bytes.length - DIGEST_BYTES;
  const body = bytes.subarray(0, Math.max(0, bodyBytes));
  if (bodyBytes < FIXED_BYTES || !blake3Of([body]).equals(bytes.subarray(bodyBytes))) {
    throw new ShoalError('corrupt', `what the store noted about ${id} is damaged`);
  }
  const headerEnd = FIXED_BYTES + body.readUInt32LE(MAGIC.length);
  const manifestEnd = headerEnd + body.readUInt32LE(MAGIC.length + 4);
  if (!body.subarray(0, MAGIC.length).equals(MAGIC) || manifestEnd !== body.length) {
    throw new ShoalError('corrupt', `what the store noted about ${id} has a form that this version does not know`);
  }
  const header = headerSchema.safeParse(JSON.parse(body.toString('utf8', FIXED_BYTES, headerEnd)));
  if (!header.success) {
    throw new ShoalError('corrupt', `what the store noted about ${id} lacks a field`, { cause: header.error });
  }
  return {
    manifest: decodeManifest(body.subarray(headerEnd), id),
    isComplete: header.data.complete,
    sha256: header.data.sha256,
    isHashedHere: header.data.hashedHere,
    records: header.data.records,
    isDamaged: header.data.damaged === true,
    unsyncedBoot: header.data.unsyncedBoot,
  };
}

/** Reads and decodes on the calling thread: some 20 microseconds for a small file in the page cache. */
export function readInfoSync(paths: StorePaths, id: string): FileInfo {
  return decodeInfo(fs.readFileSync(paths.info(id)), id);
}

/** Writes a complete info file under a temporary name, durable if asked for; resolves to that name. */
export async function writeTemporaryInfo(
  deps: { readonly paths: StorePaths; readonly syncer: Syncer },
  info: FileInfo,
  options: { readonly durable: boolean },
): Promise<string> {
  const bytes = encodeInfo(info);
  const path = deps.paths.newTemporary();
  const file = await fs.promises.open(path, 'wx', 0o600);
  try {
    await writeFully(file.fd, [bytes], 0);
    if (options.durable) await deps.syncer.file(file.fd, bytes.length);
  } catch (error) {
    await removeIfThere(path);
    throw storageError(`writing what is known about ${info.manifest.id}`, error);
  } finally {
    await file.close();
  }
  return path;
}

/** Replaces the info file of a file in one step: after a crash there is the old one or the new one. */
export async function replaceInfo(
  deps: { readonly paths: StorePaths; readonly syncer: Syncer },
  info: FileInfo,
  options: { readonly durable: boolean },
): Promise<void> {
  const { id } = info.manifest;
  const temporary = await writeTemporaryInfo(deps, info, options);
  try {
    await fs.promises.rename(temporary, deps.paths.info(id));
  } catch (error) {
    await removeIfThere(temporary);
    throw storageError(`writing what is known about ${id}`, error);
  }
  if (options.durable) await deps.syncer.directory(deps.paths.folder(id));
}
