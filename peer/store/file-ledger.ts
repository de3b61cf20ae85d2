import { ShoalError } from '../../common/errors.js';
import { Lane } from '../../common/lane.js';
import type { ReadonlyChunkSet } from '../chunk-set.js';
import type { Manifest } from '../manifest.js';
import type { FdCache } from './fd-cache.js';
import { removeIfThere } from './file-io.js';
import { type FileInfo, replaceInfo } from './info-file.js';
import { StoreJournal } from './store-journal.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

/** What is noted about a file besides its chunks. */
export type FileNotes = Pick<FileInfo, 'sha256' | 'isHashedHere' | 'records' | 'isDamaged' | 'unsyncedBoot'>;

/** What ledgers share. */
export interface LedgerDeps {
  readonly fds: FdCache;
  readonly syncer: Syncer;
  readonly paths: StorePaths;
  /** Names the boot of the machine. */
  readonly boot: string;
}

/**
 * What the disk says about one file: its info file, and its journal while it is not whole. Changes take turns, and are
 * in memory only when they are on disk. Everything throws `not_found` once the file was removed.
 */
export class FileLedger {
  readonly #deps: LedgerDeps;
  readonly #id: string;
  readonly #manifest: () => Manifest;
  #openedJournal: StoreJournal | undefined;
  readonly #lane = new Lane(1);
  #notes: FileNotes;
  #isWhole: boolean;
  #isRemoved = false;

  constructor(
    deps: LedgerDeps,
    file: {
      readonly id: string;
      readonly manifest: () => Manifest;
      readonly notes: FileNotes;
      readonly isWhole: boolean;
    },
  ) {
    this.#deps = deps;
    this.#id = file.id;
    this.#manifest = file.manifest;
    this.#notes = file.notes;
    this.#isWhole = file.isWhole;
  }

  get notes(): FileNotes {
    return this.#notes;
  }

  /** Whether the disk says that the file is whole and durable. */
  get isDurable(): boolean {
    return this.#isWhole && this.#notes.unsyncedBoot === undefined;
  }

  /** Whether the disk says that the file is whole. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Changes the notes, durably if asked for. `change` may throw, or return the same notes when nothing is to be done. */
  note(change: (notes: FileNotes) => FileNotes, options: { readonly durable: boolean }): Promise<void> {
    return this.#turn(async () => {
      const notes = change(this.#notes);
      if (notes === this.#notes) return;
      await this.#write({ ...notes, isComplete: this.#isWhole }, options);
      this.#notes = notes;
    });
  }

  /** Notes that a chunk is held: from now on the end of the process does not matter. Does not wait for the others. */
  hold(index: number): Promise<void> {
    return this.#journal.add(index);
  }

  /** Notes durably that the file is whole, which its data must be; `sha256` is given when this store computed it. */
  setWhole(sha256?: string): Promise<void> {
    return this.#turn(async () => {
      const hash = sha256 === undefined ? {} : { sha256, isHashedHere: true };
      const notes = { ...this.#notes, ...hash, isDamaged: false, unsyncedBoot: undefined };
      await this.#write({ ...notes, isComplete: true }, { durable: true });
      this.#notes = notes;
      this.#isWhole = true;
      await this.#journal.remove();
    });
  }

  /** Notes that chunks were found damaged, and that what is in `have`, read at its turn, is what is left. */
  lose(chunks: readonly number[], have: ReadonlyChunkSet): Promise<void> {
    return this.#turn(async () => {
      const notes = { ...this.#notes, isDamaged: true, unsyncedBoot: undefined };
      if (!this.#isWhole) await Promise.all(chunks.map((index) => this.#journal.forget(index)));
      // A crash between the two leaves "whole": the damage will be found again.
      else await this.#journal.replace(have);
      if (this.#isWhole || !this.#notes.isDamaged)
        await this.#write({ ...notes, isComplete: false }, { durable: true });
      this.#notes = notes;
      this.#isWhole = false;
    });
  }

  /** Notes, under the current boot, that exactly `have`, read at its turn, is held. */
  replaceHeld(have: ReadonlyChunkSet): Promise<void> {
    return this.#turn(() => this.#journal.replace(have));
  }

  /** Takes the file out of the store: what is left after a crash on the way is cleared away by the next start. */
  async remove(): Promise<void> {
    this.#isRemoved = true;
    await this.#journal.close();
    await this.#lane.run(async () => {
      await removeIfThere(this.#deps.paths.info(this.#id));
      await this.#journal.remove();
    });
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#lane.run(async () => {});
  }

  /** Made when it is needed: whole files have none. */
  get #journal(): StoreJournal {
    this.#openedJournal ??= new StoreJournal(this.#deps, { id: this.#id, boot: this.#deps.boot });
    return this.#openedJournal;
  }

  #turn(task: () => Promise<void>): Promise<void> {
    return this.#lane.run(async () => {
      if (this.#isRemoved) throw new ShoalError('not_found', `file ${this.#id} was removed`);
      await task();
    });
  }

  #write(info: Omit<FileInfo, 'manifest'>, options: { readonly durable: boolean }): Promise<void> {
    return replaceInfo(this.#deps, { manifest: this.#manifest(), ...info }, options);
  }
}
