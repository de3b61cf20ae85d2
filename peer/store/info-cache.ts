import type { FileInfo } from './info-file.js';

/** What an entry takes besides its manifest and records, or a little more. */
const ENTRY_BYTES = 600;

/**
 * What is noted about the files that were used last, in up to `capacityBytes`. A store of ten thousand large files would
 * need gigabytes for all their manifests, one of a million small ones for all their records.
 */
export class InfoCache {
  readonly #infos = new Map<string, FileInfo>();
  readonly #capacityBytes: number;
  #bytes = 0;

  constructor(options: { readonly capacityBytes: number }) {
    this.#capacityBytes = options.capacityBytes;
  }

  /** Whether that of a file is kept. */
  has(id: string): boolean {
    return this.#infos.has(id);
  }

  /** That of a file, loaded when it is not kept. Throws what `load` throws. */
  get(id: string, load: () => FileInfo): FileInfo {
    const info = this.#infos.get(id) ?? load();
    this.put(info);
    return info;
  }

  /** Keeps it, in place of those that have not been used for longest. */
  put(info: FileInfo): void {
    const { id } = info.manifest;
    this.delete(id);
    this.#infos.set(id, info);
    this.#bytes += bytesOf(info);
    for (const [oldest] of this.#infos) {
      if (this.#bytes <= this.#capacityBytes || oldest === id) break;
      this.delete(oldest);
    }
  }

  /** Keeps it no longer. */
  delete(id: string): void {
    const info = this.#infos.get(id);
    if (info === undefined) return;
    this.#infos.delete(id);
    this.#bytes -= bytesOf(info);
  }
}

function bytesOf({ manifest, records }: FileInfo): number {
  return ENTRY_BYTES + manifest.encoded.length + records.reduce((sum, record) => sum + record.length, 0);
}
