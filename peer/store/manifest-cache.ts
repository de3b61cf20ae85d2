import type { Manifest } from '../manifest.js';

/**
 * The manifests that were used last, up to `capacityBytes`: a store of ten thousand large files would need gigabytes
 * for all of them.
 */
export class ManifestCache {
  readonly #manifests = new Map<string, Manifest>();
  readonly #capacityBytes: number;
  #bytes = 0;

  constructor(options: { readonly capacityBytes: number }) {
    this.#capacityBytes = options.capacityBytes;
  }

  /** The manifest of a file, loaded when it is not kept. Throws what `load` throws. */
  get(id: string, load: () => Manifest): Manifest {
    const manifest = this.#manifests.get(id) ?? load();
    this.put(manifest);
    return manifest;
  }

  /** Keeps a manifest, in place of those that have not been used for longest. */
  put(manifest: Manifest): void {
    this.delete(manifest.id);
    this.#manifests.set(manifest.id, manifest);
    this.#bytes += manifest.encoded.length;
    for (const [id] of this.#manifests) {
      if (this.#bytes <= this.#capacityBytes || id === manifest.id) break;
      this.delete(id);
    }
  }

  /** Keeps it no longer. */
  delete(id: string): void {
    const manifest = this.#manifests.get(id);
    if (manifest === undefined) return;
    this.#manifests.delete(id);
    this.#bytes -= manifest.encoded.length;
  }
}
