import fs from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { writeFully, writeFullySync } from './file-io.js';
import { encodeHeader, HEADER_BYTES, type ReadEntry, readEntries, readHeader } from './redo-entry.js';
import type { Loan, Space } from './space.js';
import type { StorePaths } from './store-paths.js';
import type { Syncer } from './syncer.js';

const ENTRIES_IN_TURN = 20;
/** In the place of the boot, in the header of a log that could not be settled. */
const UNSETTLED = 'unsettled';

const fdatasync = promisify(fs.fdatasync);

/** What a {@link RedoFile} is made of. */
interface RedoFileState {
  readonly path: string;
  readonly fd: number;
  readonly loan: Loan;
  /** How large it may become. */
  readonly mostBytes: number;
}

/**
 * One log of the store: a file that only grows, the room that was lent for it, and which files it tells of. Everything
 * throws what the disk says.
 */
export class RedoFile {
  readonly path: string;
  readonly #fd: number;
  readonly #loan: Loan;
  readonly #mostBytes: number;
  readonly #ids = new Set<string>();
  /** What is being added: its files are not written before that is done. */
  readonly #adding = new Set<Promise<void>>();
  /** Behind the last whole entry. */
  #end = HEADER_BYTES;

  private constructor(state: RedoFileState) {
    this.path = state.path;
    this.#fd = state.fd;
    this.#loan = state.loan;
    this.#mostBytes = state.mostBytes;
  }

  /** A new one without entries, of at most `mostBytes`. The loan, of {@link HEADER_BYTES} at least, is given back if that fails. */
  static async begin(
    deps: { readonly paths: StorePaths; readonly syncer: Syncer; readonly boot: string },
    { path, loan, mostBytes }: Omit<RedoFileState, 'fd'>,
  ): Promise<RedoFile> {
    let fd: number | undefined;
    try {
      fd = fs.openSync(path, 'wx+', 0o600);
      await writeFully(fd, [encodeHeader(deps.boot)], 0);
      await deps.syncer.directory(deps.paths.redo);
    } catch (error) {
      if (fd !== undefined) fs.closeSync(fd);
      fs.rmSync(path, { force: true });
      loan.release();
      throw error;
    }
    return new RedoFile({ path, fd, loan, mostBytes });
  }

  /** One that an earlier process left, to which nothing is added. */
  static open(path: string, space: Pick<Space, 'adoptLoan'>): RedoFile {
    const fd = fs.openSync(path, 'r+');
    return new RedoFile({ path, fd, loan: space.adoptLoan(fs.fstatSync(fd).size), mostBytes: 0 });
  }

  /** Under which boot of the machine it was begun; undefined when that cannot be read, and another word once it is kept. */
  get boot(): string | undefined {
    return readHeader(this.#fd);
  }

  /** Where the last whole entry ends, and where the first begins if there is none. */
  get end(): number {
    return this.#end;
  }

  /** The whole entries, in order, read one by one; from where one begins, if that is given. */
  entries(from?: number): Generator<ReadEntry> {
    return readEntries(this.#fd, from);
  }

  /** The files that it tells of. */
  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  /** Finds out of which files it tells, when it was opened. */
  async readIds(): Promise<void> {
    let entries = 0;
    for (const { id, end } of readEntries(this.#fd)) {
      this.#ids.add(id);
      this.#end = end;
      entries += 1;
      if (entries % ENTRIES_IN_TURN === 0) await turn();
    }
  }

  /** Takes room for so many more bytes; false when it is large enough, or there is none. */
  makeRoom(bytes: number): boolean {
    return this.#end < this.#mostBytes && this.#loan.grow(bytes);
  }

  /** Tells that an entry comes, and when what it says is written to the file's own places, or will not be. */
  expect(id: string, written: Promise<void>): void {
    this.#ids.add(id);
    const isOver = written.then(forget, forget).then(() => void this.#adding.delete(isOver));
    this.#adding.add(isOver);
  }

  /** Adds entries, for which there must be room, durably. One that is not written whole is written over by the next. */
  async append(pieces: readonly Buffer[]): Promise<void> {
    await writeFully(this.#fd, pieces, this.#end);
    await fdatasync(this.#fd);
    this.#loan.landAll();
    this.#end += pieces.reduce((sum, { length }) => sum + length, 0);
  }

  /** Resolves when nothing that was expected is still to be written. */
  async whenWritten(): Promise<void> {
    await Promise.all(this.#adding);
  }

  /** Its room counts as used from now on. */
  keepRoom(): void {
    this.#loan.keep();
  }

  /** Notes that its files must be written again when the store opens next, whatever the boot. */
  noteUnsettled(): void {
    writeFullySync(this.#fd, encodeHeader(UNSETTLED), 0);
  }

  /** Removes it, durably: one that came back later would undo what happened since. */
  async discard({ paths, syncer }: { readonly paths: StorePaths; readonly syncer: Syncer }): Promise<void> {
    fs.rmSync(this.path, { force: true });
    await syncer.directory(paths.redo);
    fs.closeSync(this.#fd);
    this.#loan.release();
  }

  /** Leaves it to the next process. */
  close(): void {
    fs.closeSync(this.#fd);
  }
}

function forget(): void {}
