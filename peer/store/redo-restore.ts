import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { writeFullySync } from './file-io.js';
import type { RedoEntry } from './redo-entry.js';
import type { StorePaths } from './store-paths.js';

const ENTRIES_IN_TURN = 20;

/** Makes true again, durably, what a log of before a crash of the machine says. Doing it again does no harm. */
export async function restoreLog(
  log: Iterable<RedoEntry>,
  deps: {
    readonly hasher: Pick<Hasher, 'sync'>;
    readonly paths: StorePaths;
    readonly log: Logger;
    readonly closing: AbortSignal;
  },
): Promise<void> {
  const { paths, hasher, closing } = deps;
  const written = new Set<string>();
  const folders = new Set<string>([paths.files]);
  let entries = 0;
  for (const entry of log) {
    entries += 1;
    if (entries % ENTRIES_IN_TURN === 0) await turn();
    folders.add(paths.folder(entry.id));
    for (const path of restore(entry, paths)) written.add(path);
  }
  await hasher.sync({ paths: [...written, ...folders] }, closing);
  if (entries > 0) deps.log.info({ entries }, 'wrote again what the machine may have lost when it went down');
}

/** Which files were written. */
function restore({ id, info, data }: RedoEntry, paths: StorePaths): readonly string[] {
  fs.mkdirSync(paths.folder(id), { recursive: true, mode: 0o700 });
  if (info === undefined) {
    // Without the info file it is no file of the store any more.
    for (const path of [paths.info(id), paths.data(id)]) fs.rmSync(path, { force: true });
    return [];
  }
  if (data !== undefined) put(paths.data(id), data);
  const temporary = paths.newTemporary();
  put(temporary, info);
  fs.renameSync(temporary, paths.info(id));
  return [paths.data(id), paths.info(id)];
}

function put(path: string, bytes: Buffer): void {
  const fd = fs.openSync(path, 'w', 0o600);
  try {
    writeFullySync(fd, bytes, 0);
  } finally {
    fs.closeSync(fd);
  }
}
