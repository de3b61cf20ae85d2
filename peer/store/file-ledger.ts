import { ShoalError } from '../../common/errors.js';
import type { KeyedLanes } from '../../common/lane.js';
import type { ReadonlyChunkSet } from '../chunk-set.js';
import type { FdCache } from './fd-cache.js';
import { isMissing, removeIfThere, storageError } from './file-io.js';
import type { InfoCache } from './info-cache.js';
import { encodeInfo, type FileInfo, readInfoSync, replaceInfo } from './info-file.js';
import type { RedoLog } from './redo-log.js';
import type { SmallWriter } from './small-writer.js';
import { StoreJournal } from './store-journal.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

/** What is noted about a file besides its chunks. */
export type FileNotes = Pick<FileInfo, 'sha256' | 'isHashedHere' | 'records' | 'isDamaged' | 'unsyncedBoot'>;

/** What ledgers share. */
export interface LedgerDeps {
  readonly fds: FdCache;
  readonly infos: InfoCache;
  readonly syncer: Syncer;
  readonly paths: StorePaths;
  readonly redo: Pick<RedoLog, 'add' | 'covers'>;
  readonly writer: SmallWriter;
  /** In which the changes of a file take turns, by its id. */
  readonly changes: KeyedLanes;
  /** Names the boot of the machine. */
  readonly boot: string;
}

/**
 * What the disk says about one file: its info file, and its journal while it is not whole. Changes take turns, and are
 * in memory only when they are on disk. Of what is noted only a few bits stay in memory: a peer holds many files, and is
 * asked about few of them at a time. Everything throws `not_found` once the file was removed.
 */
export class FileLedger {
  readonly #deps: LedgerDeps;
  readonly #id: string;
  #openedJournal: StoreJournal | undefined;
  #isWhole: boolean;
  #isDamaged: boolean;
  #isSynced: boolean;
  #isRemoved = false;

  constructor(deps: LedgerDeps, file: { readonly id: string; readonly notes: FileNotes; readonly isWhole: boolean }) {
    this.#deps = deps;
    this.#id = file.id;
    this.#isWhole = file.isWhole;
    this.#isDamaged = file.notes.isDamaged;
    this.#isSynced = file.notes.unsyncedBoot === undefined;
  }

  /** All that is noted, read when it has not been used for a while; throws `corrupt` when it cannot be. */
  get info(): FileInfo {
    return this.#deps.infos.get(this.#id, () => this.#readInfo());
  }

  /** Whether {@link info} needs no reading. */
  get isInfoKept(): boolean {
    return this.#deps.infos.has(this.#id);
  }

  /** Whether chunks were found damaged since the file was last whole. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  /** Whether the disk says that the file is whole, in a way that survives a crash of the machine. */
  get isDurable(): boolean {
    return this.#isWhole && (this.#isSynced || this.#deps.redo.covers(this.#id));
  }

  /** Whether the disk says that the file is whole. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Changes the notes, durably if asked for. `change` may throw, or return the same notes when nothing is to be done. */
  note(change: (notes: FileNotes) => FileNotes, options: { readonly durable: boolean }): Promise<void> {
    return this.#turn(async () => {
      const { info } = this;
      const notes = change(info);
      if (notes !== info) await this.#write({ ...info, ...notes, isComplete: this.#isWhole }, options);
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
      const notes = { ...this.info, ...hash, isDamaged: false, unsyncedBoot: undefined };
      await this.#write({ ...notes, isComplete: true }, { durable: true });
      await this.#journal.remove();
      this.#openedJournal = undefined;
    });
  }

  /** Notes that chunks were found damaged, and that what is in `have`, read at its turn, is what is left. */
  lose(chunks: readonly number[], have: ReadonlyChunkSet): Promise<void> {
    return this.#turn(async () => {
      const notes = { ...this.info, isComplete: false, isDamaged: true, unsyncedBoot: undefined };
      if (!this.#isWhole) await Promise.all(chunks.map((index) => this.#journal.forget(index)));
      // A crash between the two leaves "whole": the damage will be found again.
      else await this.#journal.replace(have);
      if (this.#isWhole || !this.#isDamaged) await this.#write(notes, { durable: true });
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
    await this.#deps.changes.run(this.#id, async () => {
      this.#deps.infos.delete(this.#id);
      await removeIfThere(this.#deps.paths.info(this.#id));
      await this.#journal.remove();
    });
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#deps.changes.run(this.#id, async () => {});
  }

  /** Made when it is needed: whole files have none. */
  get #journal(): StoreJournal {
    this.#openedJournal ??= new StoreJournal(this.#deps, { id: this.#id, boot: this.#deps.boot });
    return this.#openedJournal;
  }

  #turn(task: () => Promise<void>): Promise<void> {
    return this.#deps.changes.run(this.#id, async () => {
      if (this.#isRemoved) throw new ShoalError('not_found', `file ${this.#id} was removed`);
      await task();
    });
  }

  async #write(info: FileInfo, options: { readonly durable: boolean }): Promise<void> {
    if (options.durable && this.#deps.redo.covers(this.#id)) await this.#writeByLog(info);
    else await replaceInfo(this.#deps, info, options);
    this.#deps.infos.put(info);
    this.#isWhole = info.isComplete;
    this.#isDamaged = info.isDamaged;
    this.#isSynced = info.unsyncedBoot === undefined;
  }

  /** The log makes it durable; it is settled, and the file synced, together with the others in it. */
  async #writeByLog(info: FileInfo): Promise<void> {
    const { redo, writer, paths } = this.#deps;
    await redo.add({ id: this.#id, info: encodeInfo({ ...info, unsyncedBoot: undefined }) }, () =>
      writer.write({ path: paths.info(this.#id), temporary: paths.newTemporary(), bytes: encodeInfo(info) }),
    );
  }

  #readInfo(): FileInfo {
    try {
      return readInfoSync(this.#deps.paths, this.#id);
    } catch (error) {
      if (!isMissing(error)) throw storageError(`reading what is known about ${this.#id}`, error);
      throw new ShoalError('corrupt', `what the store noted about ${this.#id} is gone`, { cause: error });
    }
  }
}
