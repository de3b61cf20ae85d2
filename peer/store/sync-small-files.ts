import type { Hasher } from '../hasher.js';
import type { StorePaths } from './store-paths.js';

/** Makes whole files that were written unsynced durable, and their names; those that are not there any more are left out. */
export async function syncSmallFiles(
  deps: { readonly hasher: Pick<Hasher, 'sync'>; readonly paths: StorePaths; readonly closing: AbortSignal },
  ids: Iterable<string>,
): Promise<void> {
  const { hasher, paths, closing } = deps;
  const files: string[] = [];
  const folders = new Set<string>();
  for (const id of ids) {
    files.push(paths.data(id), paths.info(id));
    folders.add(paths.folder(id));
  }
  await hasher.sync({ paths: [...files, ...folders] }, closing);
}
