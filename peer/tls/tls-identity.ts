import type { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { type ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { readTlsFiles, type TlsFiles, type TlsMaterial } from './tls-files.js';

/** Settings of an identity. */
export interface TlsIdentityOptions {
  readonly files: TlsFiles;
  /** How often the files are looked at, in milliseconds. */
  readonly reloadMs: number;
}

/**
 * Who this peer is to others under TLS, and whom it believes. Whoever renews certificates replaces the files: what is new
 * counts for connections from then on, and those that are open stay. Files that do not fit together, as for a moment while
 * they are replaced, change nothing.
 */
export class TlsIdentity {
  readonly #log: Logger;
  readonly #files: TlsFiles;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners: (() => void)[] = [];
  #material: TlsMaterial;
  #lastFailure: ShoalError | undefined;

  /** Reads the files. Throws `invalid` when they are not what they should be. */
  static async open(deps: { readonly log: Logger }, options: TlsIdentityOptions): Promise<TlsIdentity> {
    return new TlsIdentity(deps.log, options, await readTlsFiles(options.files));
  }

  private constructor(log: Logger, options: TlsIdentityOptions, material: TlsMaterial) {
    this.#log = log;
    this.#files = options.files;
    this.#material = material;
    this.#timer = setInterval(() => void this.reload(), options.reloadMs);
    this.#timer.unref();
  }

  get certificate(): X509Certificate {
    return this.#material.certificate;
  }

  /** When the certificate ends, in milliseconds since 1970. */
  get expiresAtMs(): number {
    return Date.parse(this.certificate.validTo);
  }

  /** For a TLS server; see {@link TlsMaterial}. */
  get options(): TlsMaterial['options'] {
    return this.#material.options;
  }

  /** For the next connection to another peer. */
  get context(): SecureContext {
    return this.#material.context;
  }

  /** Why the files, as they are now, are not in use; undefined when they are. */
  get lastFailure(): ShoalError | undefined {
    return this.#lastFailure;
  }

  /** `listener` is called after each renewal. */
  onRenewed(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Looks at the files now. Never rejects. */
  async reload(): Promise<void> {
    let material: TlsMaterial;
    try {
      material = await readTlsFiles(this.#files);
    } catch (thrown) {
      const error = toShoalError(thrown);
      if (this.#lastFailure?.message !== error.message) {
        this.#log.warn({ error }, 'the TLS files are not what they should be; what they held before is used on');
      }
      this.#lastFailure = error;
      return;
    }
    this.#lastFailure = undefined;
    if (material.text === this.#material.text) return;
    this.#material = material;
    this.#log.info({ validTo: material.certificate.validTo }, 'the TLS files have changed and are in use');
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
