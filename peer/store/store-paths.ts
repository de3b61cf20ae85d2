import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

/** What stands after the id in a file name of the store. */
export const SUFFIX = { data: '.data', info: '.info', journal: '.have' } as const;

/** Where the store keeps what, all of it in one file system. */
export class StorePaths {
  /** Locked by the process that uses the store. */
  readonly lock: string;
  /** Files that are not yet anything; emptied when the store opens. */
  readonly temporary: string;
  /** Has the folders of the files. */
  readonly files: string;
  /** Has the logs from which small files are written again after a crash of the machine. */
  readonly redo: string;

  constructor(dir: string) {
    this.lock = join(dir, 'lock');
    this.temporary = join(dir, 'tmp');
    this.files = join(dir, 'files');
    this.redo = join(dir, 'redo');
  }

  /** The folder of a file, which it shares with those whose ids begin with the same two digits. */
  folder(id: string): string {
    return `${this.files}/${id.slice(0, 2)}`;
  }

  /** The content, as large as the file from the start; chunks that are missing are holes. */
  data(id: string): string {
    return `${this.files}/${id.slice(0, 2)}/${id}${SUFFIX.data}`;
  }

  /** Manifest, records, and whether the file is whole. A file is in the store while it has this. */
  info(id: string): string {
    return `${this.files}/${id.slice(0, 2)}/${id}${SUFFIX.info}`;
  }

  /** Which chunks are held, while the file is not known to be whole and durable. */
  journal(id: string): string {
    return `${this.files}/${id.slice(0, 2)}/${id}${SUFFIX.journal}`;
  }

  /** One of the logs, by its number. */
  redoLog(number: number): string {
    return `${this.redo}/${number}`;
  }

  /** A new name in the folder of temporary files. */
  newTemporary(): string {
    return join(this.temporary, randomUUID());
  }
}
