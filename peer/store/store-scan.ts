import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { abortError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { ChunkSet } from '../chunk-set.js';
import { chunkBytesFor } from '../manifest.js';
import { isMissing, systemCode } from './file-io.js';
import { type FileInfo, readInfoSync } from './info-file.js';
import { readJournalSync } from './store-journal.js';
import { type StorePaths, SUFFIX } from './store-paths.js';

const FOLDER_NAME = /^[0-9a-f]{2}$/;
const NAME = /^([0-9a-f]{64})(\.data|\.info|\.have)$/;

/** A file that an earlier process left in the store. */
export interface FoundFile {
  readonly info: FileInfo;
  /** Chunks that are held. */
  readonly have: ChunkSet;
  /** Chunks that were held before the machine crashed, and may not have survived it. */
  readonly claimed: ChunkSet;
  /** Chunks that are noted as held but cannot be there. */
  readonly lost: readonly number[];
}

interface ScanDeps {
  readonly paths: StorePaths;
  readonly log: Logger;
  /** Names the boot of the machine. */
  readonly boot: string;
}

/**
 * Finds the files of a store and clears away what is of no use to anybody: what an ingest or a removal left half done.
 * A file whose notes are damaged is deleted; one that cannot be read is left as it is; each with a line in the log, and
 * neither stops the others. Synchronous within a folder, since a thousand small reads on the pool cost more than they
 * wait.
 */
export async function* scanStore(deps: ScanDeps, signal: AbortSignal): AsyncGenerator<FoundFile> {
  clearFolder(deps.paths.temporary);
  for (const folder of fs.readdirSync(deps.paths.files)) {
    await turn();
    if (signal.aborted) throw abortError(signal);
    for (const [id, suffixes] of groupById(`${deps.paths.files}/${folder}`, folder)) {
      const found = suffixes.has(SUFFIX.info) ? examine(deps, id, suffixes) : discard(deps, id);
      if (found !== undefined) yield found;
    }
  }
}

function clearFolder(folder: string): void {
  for (const name of fs.readdirSync(folder)) fs.rmSync(`${folder}/${name}`, { recursive: true, force: true });
}

/** Which of its files each id has in a folder for ids that begin with `prefix`. Other names are not looked at. */
function groupById(folder: string, prefix: string): Map<string, Set<string>> {
  const ids = new Map<string, Set<string>>();
  if (!FOLDER_NAME.test(prefix)) return ids;
  for (const name of fs.readdirSync(folder)) {
    const [, id, suffix] = NAME.exec(name) ?? [];
    if (id === undefined || suffix === undefined || !id.startsWith(prefix)) continue;
    const suffixes = ids.get(id) ?? new Set();
    ids.set(id, suffixes.add(suffix));
  }
  return ids;
}

function examine(deps: ScanDeps, id: string, suffixes: ReadonlySet<string>): FoundFile | undefined {
  try {
    return read(deps, id, suffixes);
  } catch (error) {
    // The disk may answer tomorrow, or be given the right owner; what is damaged stays so.
    if (systemCode(error) !== undefined && !isMissing(error)) {
      deps.log.error({ error, id }, 'a file of the store cannot be read; it is left as it is, and not offered');
      return undefined;
    }
    deps.log.error({ error, id }, 'a file of the store is damaged and was deleted');
    return discard(deps, id);
  }
}

function read(deps: ScanDeps, id: string, suffixes: ReadonlySet<string>): FoundFile {
  const { paths, boot, log } = deps;
  const info = readInfoSync(paths, id);
  const { size, chunkCount } = info.manifest;
  const dataBytes = sizeOfData(paths.data(id));
  const fits = (index: number): boolean => Math.min(size, (index + 1) * chunkBytesFor(size)) <= dataBytes;

  if (info.isComplete && info.unsyncedBoot !== undefined && info.unsyncedBoot !== boot) {
    const { have: claimed, lost } = split(ChunkSet.full(chunkCount), fits);
    const partial = { ...info, isComplete: false, unsyncedBoot: undefined };
    return { info: partial, have: new ChunkSet(chunkCount), claimed, lost };
  }
  if (info.isComplete) {
    if (suffixes.has(SUFFIX.journal)) fs.unlinkSync(paths.journal(id));
    return { info, claimed: new ChunkSet(chunkCount), ...split(ChunkSet.full(chunkCount), fits) };
  }
  const journal = readJournalSync(paths.journal(id), chunkCount);
  if (journal.damagedEntries > 0) {
    log.error(
      { id, entries: journal.damagedEntries },
      'the journal of a file is damaged; the chunks are fetched again',
    );
  }
  const { have, lost } = split(journal.held, fits);
  const isTrusted = journal.boot === boot;
  const none = new ChunkSet(chunkCount);
  return { info, have: isTrusted ? have : none, claimed: isTrusted ? none : have, lost };
}

/** Takes the chunks that the data file is too short for out of the set. */
function split(have: ChunkSet, fits: (index: number) => boolean): { have: ChunkSet; lost: readonly number[] } {
  const lost = [...have].filter((index) => !fits(index));
  for (const index of lost) have.delete(index);
  return { have, lost };
}

function sizeOfData(path: string): number {
  const stats = fs.statSync(path);
  if (!stats.isFile()) throw Object.assign(new Error(`${path} is not a file`), { code: 'EISDIR', errno: -21 });
  fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
  return stats.size;
}

function discard({ paths, log }: ScanDeps, id: string): undefined {
  for (const path of [paths.info(id), paths.journal(id), paths.data(id)]) {
    try {
      fs.rmSync(path, { force: true, recursive: true });
    } catch (error) {
      log.error({ error, path }, 'could not clear away a file of the store');
    }
  }
  return undefined;
}
