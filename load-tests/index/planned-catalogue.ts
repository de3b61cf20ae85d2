import { createHash } from 'node:crypto';
import type { RecordClaims } from '../../index-server/api/statements.js';

/*
 * What the catalogue of a measurement holds, as arithmetic: any process can tell file number 123,456 without a list of
 * them. Pure.
 *
 *   name   FOLDER/PROJECT-NUMBER/part-1234567.bin    1,000 files a project
 *   tags   project=p123 (its 1,000 files), kind=k4 (every tenth file)
 *   owner  one of ten; every tenth file is private, so that it must not be met by whoever reads
 */

const FILES_PER_PROJECT = 1000;
const OWNERS = 10;
const KINDS = 10;
const FIRST_PUBLISHED_MS = Date.parse('2025-01-01T00:00:00Z');
const CHUNK_BYTES = 1 << 20;
/** Files that every peer holds. */
const POPULAR = 1;

const FOLDERS = ['models', 'datasets', 'assets', 'builds', 'videos', 'archives', 'logs', 'maps'];
const ANIMALS = ['otter', 'heron', 'lynx', 'marten', 'badger', 'plover', 'adder', 'stoat', 'osprey', 'vole', 'newt'];

/** Names of the owners; their ids are the same. */
export const OWNER_NAMES: readonly string[] = Array.from({ length: OWNERS }, (_, i) => `team-${i}`);

/** A file of the catalogue, before its record is signed. */
export type PlannedFile = RecordClaims & { readonly kind: 'record' };

/** File `number`, from 0. */
export function plannedFile(number: number): PlannedFile {
  const owner = ownerOf(number);
  const size = 1 + ((number * 7919) % 2 ** 30);
  return {
    ...{ kind: 'record', id: idOf(number), ownerId: owner, owner, name: nameOf(number), version: 1 },
    ...{ size, sha256: hexOf(`content ${number}`), chunkSize: CHUNK_BYTES, chunks: Math.ceil(size / CHUNK_BYTES) },
    tags: { project: projectTag(number), kind: kindTag(number) },
    ...{ visibility: isPublic(number) ? 'public' : 'private', readers: [], replicas: 1 },
    publishedAt: new Date(FIRST_PUBLISHED_MS + number).toISOString(),
  };
}

/** Id of file `number`. */
export function idOf(number: number): string {
  return hexOf(`file ${number}`);
}

/** Whether everybody may read file `number`. */
export function isPublic(number: number): boolean {
  return number % OWNERS !== OWNERS - 1;
}

/** Whose file `number` is. */
export function ownerOf(number: number): string {
  return OWNER_NAMES[Math.floor(number / OWNERS) % OWNERS] ?? '';
}

/** Name of file `number`. */
export function nameOf(number: number): string {
  return `${projectPrefix(number)}part-${String(number).padStart(7, '0')}.bin`;
}

/** What the names of all files in the project of file `number` begin with. */
export function projectPrefix(number: number): string {
  const project = projectOf(number);
  const folder = FOLDERS[project % FOLDERS.length];
  return `${folder}/${animalOf(number)}-${project}/`;
}

/** A word in the names of a project of file `number` and of every eleventh other. */
export function animalOf(number: number): string {
  return ANIMALS[projectOf(number) % ANIMALS.length] ?? '';
}

/** The tag that the files in the project of file `number` have. */
export function projectTag(number: number): string {
  return `p${projectOf(number)}`;
}

/** The tag that every tenth file has, file `number` among them. */
export function kindTag(number: number): string {
  return `k${number % KINDS}`;
}

/** Name of peer `number`, from 0. */
export function peerNameOf(number: number): string {
  return `peer-${number}.bench`;
}

/** Numbers of the files that peer `peer` of `peers` holds: its share, and those that every peer holds. */
export function filesHeldBy(
  peer: number,
  { files, peers }: { readonly files: number; readonly peers: number },
): number[] {
  const held = Array.from({ length: Math.min(POPULAR, files) }, (_, number) => number);
  for (let number = peer; number < files; number += peers) if (number >= POPULAR) held.push(number);
  return held;
}

function projectOf(number: number): number {
  return Math.floor(number / FILES_PER_PROJECT);
}

function hexOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
