import { ShoalError } from '../common/errors.js';
import type { Restored } from './api/peers.js';
import type { RecordClaims } from './api/statements.js';
import { PEER_ACCOUNT_ROW } from './auth.js';
import type { Catalog, FileRow, TombstoneRow } from './catalog.js';
import type { IndexMetrics } from './metrics.js';
import type { Replicator } from './replicator.js';
import type { Signer } from './signer.js';
import { rowOf } from './views.js';

/*
 * After its store was lost the index takes records back from the peers. It believes nothing but its own signature.
 * Owners whose accounts are gone come back locked, under the id that the records name: whoever registers the name
 * meanwhile inherits nothing.
 */

/** What {@link Restoring} needs. */
export interface RestoringDeps {
  readonly catalog: Catalog;
  readonly replicator: Replicator;
  readonly signer: Signer;
  readonly metrics: IndexMetrics;
  now(): number;
}

/** Takes back what an earlier life of the store signed. */
export class Restoring {
  readonly #deps: RestoringDeps;

  constructor(deps: RestoringDeps) {
    this.#deps = deps;
  }

  /** Takes back records and tombstones; what is not signed by this index, is there, or was removed since, is refused. */
  async restore(records: readonly string[]): Promise<Restored> {
    const { metrics } = this.#deps;
    const rows: FileRow[] = [];
    const tombstones: TombstoneRow[] = [];
    for (const record of new Set(records)) {
      const claims = await this.#verified(record);
      if (claims?.kind === 'tombstone') tombstones.push(tombstoneOf(claims, record));
      if (claims?.kind === 'record') rows.push(rowOf(claims, record));
    }
    // Tombstones first: they decide which records are still wanted.
    let restored = tombstones.length === 0 ? 0 : await this.#takeTombstones(tombstones);
    if (rows.length > 0) restored += await this.#takeBack(await this.#withOwners(rows));
    const refused = records.length - restored;
    metrics.restores.inc({ result: 'restored' }, restored);
    metrics.restores.inc({ result: 'refused' }, refused);
    return { restored, refused };
  }

  /** Some peer may have given back before what these say is gone; it holds the file, and is told to drop it. */
  async #takeTombstones(tombstones: readonly TombstoneRow[]): Promise<number> {
    const { catalog, replicator } = this.#deps;
    const { taken, removed } = await catalog.restoreTombstones(tombstones);
    if (removed.length > 0) await replicator.versionsGone(removed);
    return taken;
  }

  /** The newest record of a version counts, whichever came first; who holds an older one is told. */
  async #takeBack(rows: readonly FileRow[]): Promise<number> {
    const { catalog, replicator } = this.#deps;
    const known = await catalog.knownIds([...new Set(rows.map(({ id }) => id))]);
    let taken = await catalog.restore(rows.filter(({ id }) => !known.has(id)));
    for (const id of known) {
      const changed = await catalog.restore(rows.filter((row) => row.id === id));
      if (changed > 0) await replicator.recordsChanged(id);
      taken += changed;
    }
    return taken;
  }

  async #verified(record: string): Promise<RecordClaims | undefined> {
    try {
      return await this.#deps.signer.verifyRecord(record);
    } catch (error) {
      // Told to the caller in `refused`.
      if (error instanceof ShoalError && error.code === 'invalid') return undefined;
      throw error;
    }
  }

  async #withOwners(rows: readonly FileRow[]): Promise<readonly FileRow[]> {
    const wanted = new Map(rows.map((row) => [row.ownerId, row.owner]));
    const known = await this.#deps.catalog.usersById([...wanted.keys()]);
    const names = new Map(known.map((user) => [user.id, user.name]));
    names.set(PEER_ACCOUNT_ROW.id, PEER_ACCOUNT_ROW.name);
    for (const [id, name] of wanted) {
      if (!names.has(id)) names.set(id, await this.#createLocked(id, name));
    }
    return rows.map((row) => ({ ...row, owner: names.get(row.ownerId) ?? row.owner }));
  }

  /** The name that the account got: its own, or one that says what it is if somebody has taken it. */
  async #createLocked(id: string, name: string): Promise<string> {
    const createdAt = this.#deps.now();
    const suffix = `.was-${id.replaceAll(/[^a-z0-9]/gi, '').slice(0, 12)}`;
    for (const candidate of [name, `${name.slice(0, 64 - suffix.length)}${suffix}`]) {
      try {
        await this.#deps.catalog.createUser({ id, name: candidate, passwordHash: null, locked: true, createdAt });
        return candidate;
      } catch (error) {
        if (!(error instanceof ShoalError) || error.code !== 'conflict') throw error;
        // Another peer may have restored the same owner a moment ago.
        const [already] = await this.#deps.catalog.usersById([id]);
        if (already !== undefined) return already.name;
      }
    }
    throw new ShoalError('conflict', `the account of '${name}' cannot be restored: its names are taken`);
  }
}

function tombstoneOf(claims: RecordClaims, record: string): TombstoneRow {
  const { ownerId, name, version, id, publishedAt, only = false } = claims;
  return { ownerId, name, version, id, removedAt: Date.parse(publishedAt), record, only };
}
