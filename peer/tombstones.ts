import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { IndexClient } from '../index-server/client.js';
import { pagesOf } from './announcer.js';
import type { Membership } from './membership.js';
import { claimsOf } from './records.js';
import type { TicketVerifier } from './tickets.js';

/*
 * The proofs that files were removed, kept for an index that loses its store. A peer that slept through a removal still has
 * the file and its record, and an index that begins anew would take them; these, which the peers give back to it that were
 * awake, say that they are over. They come with the orders to drop files, and stay as long as the index itself keeps them.
 */

const KEPT_MS = 30 * 86_400_000;

/** What {@link Tombstones} work with. */
export interface TombstonesDeps {
  readonly index: Pick<IndexClient, 'restore'>;
  readonly membership: Pick<Membership, 'auth' | 'peerName'>;
  readonly verifier: Pick<TicketVerifier, 'verifyRecord'>;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The tombstones of one peer: a file with one of them a line. */
export class Tombstones {
  readonly #deps: TombstonesDeps;
  readonly #path: string;
  readonly #givenPath: string;
  readonly #records = new Set<string>();
  /** Store that has been given all of them. */
  #givenTo: string | undefined;
  /** Store that is still to be given them. */
  #owedTo: string | undefined;
  #giving: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: TombstonesDeps, options: { readonly dir: string }) {
    this.#deps = deps;
    this.#path = join(options.dir, 'tombstones');
    this.#givenPath = join(options.dir, 'tombstones-given-to');
  }

  /** Reads what was kept, and lets go what is too old. */
  async open(): Promise<void> {
    this.#givenTo = (await readIfThere(this.#givenPath))?.trim();
    const lines = ((await readIfThere(this.#path)) ?? '').split('\n').filter((line) => line !== '');
    const oldest = this.#deps.now() - KEPT_MS;
    for (const line of lines) if (isYoungerThan(oldest, line)) this.#records.add(line);
    if (this.#records.size < lines.length) await this.#replace(this.#path, [...this.#records].join('\n'));
  }

  /**
   * Keeps tombstones that the index sent, durably, and then does what they are the proof for. On a full disk it is done first,
   * which makes the room that they need. What the index did not sign is left out.
   */
  async keepFor<T>(records: readonly string[], removal: () => Promise<T>): Promise<T> {
    const added: string[] = [];
    for (const record of records) if (!this.#records.has(record) && (await this.#isGenuine(record))) added.push(record);
    if (added.length === 0) return await removal();
    try {
      await this.#write(added);
    } catch (error) {
      if (toShoalError(error).code !== 'exhausted') throw error;
      const result = await removal();
      await this.#write(added);
      return result;
    }
    return await removal();
  }

  /** The index has the store with this id: should it be another than before, it is to be given what is kept. */
  joined(storeId: string | undefined): void {
    this.#owedTo = storeId === this.#givenTo ? undefined : storeId;
    this.settle();
  }

  /** Gives what is owed, if that failed before; to be called when the index answers. */
  settle(): void {
    if (this.#owedTo === undefined || this.#giving !== undefined) return;
    this.#giving = this.#give(this.#owedTo)
      .catch((error: unknown) =>
        this.#deps.log.debug({ error: toShoalError(error) }, 'the tombstones could not be given back; trying again'),
      )
      .finally(() => {
        this.#giving = undefined;
      });
  }

  /** Resolves when nothing is written or sent any more. */
  async stop(): Promise<void> {
    this.#owedTo = undefined;
    await this.#giving;
    await this.#writing;
  }

  async #isGenuine(record: string): Promise<boolean> {
    try {
      return (await this.#deps.verifier.verifyRecord(record)).kind === 'tombstone';
    } catch (error) {
      this.#deps.log.warn({ error }, 'the proof of a removal is not signed by the index; it is not kept');
      return false;
    }
  }

  /** One after the other, each whole. */
  async #write(records: readonly string[]): Promise<void> {
    const written = this.#writing.then(() => this.#append(records));
    this.#writing = written.catch(() => undefined);
    await written;
  }

  async #give(storeId: string): Promise<void> {
    const { index, membership, log } = this.#deps;
    for (const page of pagesOf([...this.#records])) {
      const result = await index.restore(membership.auth(), membership.peerName, page);
      log.info({ ...result }, 'gave back what was removed, to an index that does not know it');
    }
    await this.#replace(this.#givenPath, storeId);
    this.#givenTo = storeId;
    if (this.#owedTo === storeId) this.#owedTo = undefined;
  }

  async #append(records: readonly string[]): Promise<void> {
    const file = await open(this.#path, 'a', 0o600);
    try {
      // Begins with a new line too: what a crash left of the last one must not spoil the next.
      await file.writeFile(`\n${records.join('\n')}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    for (const record of records) this.#records.add(record);
  }

  async #replace(path: string, text: string): Promise<void> {
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(`${text}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** False also for what is no record: the rest of a line that a crash cut off. */
function isYoungerThan(oldestMs: number, record: string): boolean {
  try {
    return Date.parse(claimsOf(record).publishedAt) >= oldestMs;
  } catch {
    return false;
  }
}
