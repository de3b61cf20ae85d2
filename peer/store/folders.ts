import fs from 'node:fs';
import { dirname } from 'node:path';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

/** Makes the folders of a store, durably, each when it is first needed. */
export class Folders {
  readonly #paths: StorePaths;
  readonly #syncer: Syncer;
  readonly #known = new Map<string, Promise<void>>();

  constructor(deps: { readonly paths: StorePaths; readonly syncer: Syncer }) {
    this.#paths = deps.paths;
    this.#syncer = deps.syncer;
  }

  /** Makes those that every store has. */
  async prepare(): Promise<void> {
    await this.#make(this.#paths.temporary);
    await this.#make(this.#paths.files);
    await this.#make(this.#paths.redo);
  }

  /** Makes the folder of a file. */
  async provide(id: string): Promise<void> {
    const folder = this.#paths.folder(id);
    const making = this.#known.get(folder) ?? this.#make(folder);
    this.#known.set(folder, making);
    try {
      await making;
    } catch (error) {
      this.#known.delete(folder);
      throw error;
    }
  }

  async #make(folder: string): Promise<void> {
    // Tells the first folder that was missing, which may be above the one that was asked for.
    const first = fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    for (const parent of parentsFrom(folder, first)) await this.#syncer.directory(parent);
  }
}

/** The folders that have got a new name in them: the parents of `folder`, up to that of `first`. */
function parentsFrom(folder: string, first: string): string[] {
  const parent = dirname(folder);
  return folder === first || parent === folder ? [parent] : [parent, ...parentsFrom(parent, first)];
}
