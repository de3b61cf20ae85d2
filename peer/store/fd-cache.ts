import fs from 'node:fs';
import type { Logger } from '../../common/log.js';

/** An open descriptor on loan; it stays open until it is released. */
export interface BorrowedFd {
  readonly fd: number;
  release(): void;
}

interface Entry {
  readonly path: string;
  readonly fd: number;
  users: number;
  isCached: boolean;
}

/**
 * Keeps the files that were used last open, at most `capacity` besides those in use. Files are opened on the calling
 * thread: microseconds, and it makes the synchronous and the asynchronous path one.
 */
export class FdCache {
  readonly #entries = new Map<string, Entry>();
  readonly #log: Logger;
  readonly #capacity: number;
  #open = 0;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(deps: { readonly log: Logger }, options: { readonly capacity: number }) {
    this.#log = deps.log;
    this.#capacity = options.capacity;
  }

  /** Opens `path` for reading and writing, unless it is open; `create` makes it when it is missing. Throws what open(2) says. */
  borrow(path: string, mode: 'existing' | 'create' = 'existing'): BorrowedFd {
    const entry = this.#entries.get(path) ?? this.#openFile(path, mode);
    // Behind all others: the first of the map is the one that has not been used for longest.
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.users += 1;
    if (this.#entries.size > this.#capacity) this.#evict();
    let isReleased = false;
    return {
      fd: entry.fd,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        entry.users -= 1;
        if (entry.users === 0 && !entry.isCached) this.#close(entry);
      },
    };
  }

  /** Forgets `path`, which is about to be another file or none. Those who have borrowed it keep the old one. */
  drop(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    entry.isCached = false;
    if (entry.users === 0) this.#close(entry);
  }

  /** Closes everything; resolves when the last borrower has released. What is borrowed later is closed on release. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const path of [...this.#entries.keys()]) this.drop(path);
    if (this.#open === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #openFile(path: string, mode: 'existing' | 'create'): Entry {
    const create = mode === 'create' ? fs.constants.O_CREAT : 0;
    const fd = fs.openSync(path, fs.constants.O_RDWR | create, 0o600);
    this.#open += 1;
    return { path, fd, users: 0, isCached: !this.#isClosed };
  }

  #evict(): void {
    for (const entry of this.#entries.values()) {
      if (entry.users > 0) continue;
      this.drop(entry.path);
      return;
    }
  }

  #close(entry: Entry): void {
    // Not on this thread: the last close of a removed file frees its blocks, which takes a while for a large one.
    fs.close(entry.fd, (error) => {
      if (error) this.#log.error({ error, path: entry.path }, 'could not close a file of the store');
      this.#open -= 1;
      if (this.#open === 0) this.#onIdle?.();
    });
  }
}
