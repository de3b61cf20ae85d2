import type { z } from 'zod';
import { ShoalError } from '../common/errors.js';
import type { FileDetail, PatchBody, Published, publishBodySchema } from './api.js';
import type { Caller } from './auth.js';
import type { Catalog, FilePatch, FileRow, TombstoneRow, UserRow } from './catalog.js';
import type { Finding } from './finding.js';
import type { IndexMetrics } from './metrics.js';
import { nextRevision } from './record-revision.js';
import type { Replicator } from './replicator.js';
import { type OwnTarget, resolveOwn } from './resolve.js';
import type { Signer } from './signer.js';
import { claimsOf } from './views.js';

/*
 * Publish, change, remove. Each signs what it is about to store: publishing makes a version of a name, a change gives
 * it a new record in place, a removal leaves a tombstone. Afterwards the holders are ordered to follow.
 */

/** What {@link Publishing} needs. */
export interface PublishingDeps {
  readonly catalog: Catalog;
  readonly signer: Signer;
  readonly replicator: Replicator;
  readonly finding: Finding;
  readonly metrics: IndexMetrics;
  now(): number;
}

/** A publish body with its defaults filled in. */
export type PublishRequest = z.output<typeof publishBodySchema>;

/** The owner's side of the catalogue. */
export class Publishing {
  readonly #deps: PublishingDeps;
  readonly #keepVersions: number;

  constructor(deps: PublishingDeps, options: { readonly keepVersions: number }) {
    this.#deps = deps;
    this.#keepVersions = options.keepVersions;
  }

  /**
   * Publishes a file that the calling peer holds completely. The same content under the same name changes tags, readers
   * and copies in place. Throws `invalid` for readers that do not exist or that a public file cannot have, and `conflict`
   * when the current version is not what the body wants it to be.
   */
  async publish(caller: Caller, body: PublishRequest): Promise<Published> {
    const peer = await this.#livePeer(caller);
    checkSizes(body);
    const readers = await this.#readersOf(body, caller.user);
    const { catalog, metrics, replicator } = this.#deps;
    // Before it is listed, so that nobody can find a file that nobody holds.
    await catalog.hold(peer, [{ id: body.id, complete: true }]);
    await catalog.deleteOrders(peer, 'drop', [body.id]);
    let result: 'new_name' | 'new_version' | 'same_content' = 'new_name';
    const key = { ownerId: caller.user.id, name: body.name, id: body.id, keepVersions: this.#keepVersions };
    const { row, released } = await catalog.publish(key, async (version, previous) => {
      checkCondition(body, previous);
      const isSame = previous?.id === body.id;
      result = isSame ? 'same_content' : previous === undefined ? 'new_name' : 'new_version';
      const publishedAt = isSame ? previous.publishedAt : this.#deps.now();
      const row = { ...body, ownerId: caller.user.id, owner: caller.user.name, version, readers, publishedAt };
      return this.#sign(row, isSame ? previous.record : undefined);
    });
    metrics.publishes.inc({ result });
    await this.#afterPublish(row, released, peer);
    const targets = await replicator.ensureCopies(row.id);
    return {
      file: await this.#deps.finding.detail(row, caller.user),
      record: row.record,
      targets: targets.map(({ name, address }) => ({ peer: name, address })),
    };
  }

  /** Changes tags, readers, visibility or copies of the version that `ref` means. Throws `denied` to others. */
  async patch(caller: Caller, ref: string, body: PatchBody): Promise<FileDetail> {
    const { catalog, replicator, finding } = this.#deps;
    const [target] = (await resolveOwn(catalog, ref, caller.user)).rows;
    const added = await this.#userIds(body.addReaders ?? []);
    const removed = new Set(await this.#userIds(body.removeReaders ?? []));
    const row = await catalog.patch(target, async (current) => {
      const changed = applyPatch(current, { body, added, removed });
      const { record } = await this.#sign({ ...current, ...changed }, current.record);
      return { ...changed, record };
    });
    await replicator.recordsChanged(row.id);
    if (body.replicas !== undefined) await replicator.ensureCopies(row.id);
    return finding.detail(row, caller.user);
  }

  /** Removes a name with all versions, or, by id, the versions with that id. Returns how many are gone. */
  async remove(caller: Caller, ref: string): Promise<number> {
    const target = await resolveOwn(this.#deps.catalog, ref, caller.user);
    const gone = await this.#removeTarget(target);
    await this.#deps.replicator.versionsGone(gone);
    this.#deps.metrics.removals.inc(gone.length);
    return gone.length;
  }

  async #removeTarget({ kind, rows }: OwnTarget): Promise<readonly FileRow[]> {
    const { catalog } = this.#deps;
    if (kind === 'name') return catalog.removeName(await this.#tombstone(rows[0], false));
    const gone: FileRow[] = [];
    for (const row of rows) gone.push(...(await catalog.removeVersion(await this.#tombstone(row, true))));
    return gone;
  }

  async #afterPublish(row: FileRow, released: readonly FileRow[], publisher: string): Promise<void> {
    const { catalog, replicator } = this.#deps;
    if (released.length > 0) await replicator.versionsGone(released);
    // The publisher gets this record in its answer; it needs an update only if the id has others besides.
    const versions = await catalog.allVersionsWithId(row.id, 2);
    await replicator.recordsChanged(row.id, versions.length === 1 ? publisher : undefined);
  }

  async #livePeer({ peer }: Caller): Promise<string> {
    if (peer === undefined) throw new ShoalError('denied', 'only a peer that holds the file may publish it');
    const known = await this.#deps.catalog.peer(peer.name);
    if (known?.incarnation === peer.incarnation && known.state !== 'withdrawn') return peer.name;
    throw new ShoalError('unavailable', `the peer '${peer.name}' has to join before it can publish`, {
      hint: 'it joins again by itself; try again in a few seconds',
    });
  }

  async #readersOf(body: PublishRequest, owner: UserRow): Promise<readonly string[]> {
    checkReaders(body.visibility, body.readers);
    return (await this.#userIds(body.readers)).filter((id) => id !== owner.id);
  }

  async #userIds(names: readonly string[]): Promise<readonly string[]> {
    const unique = [...new Set(names)];
    const users = await Promise.all(unique.map((name) => this.#deps.catalog.userByName(name)));
    const unknown = unique.filter((_name, index) => users[index] === undefined);
    if (unknown.length > 0) throw new ShoalError('invalid', `there is no user named ${unknown.join(', ')}`);
    return [...new Set(users.flatMap((user) => (user === undefined ? [] : [user.id])))];
  }

  /** `previous` is the record that this one replaces. */
  async #sign(row: Omit<FileRow, 'record'>, previous: string | undefined): Promise<FileRow> {
    const { id, ownerId, owner, name, version, size, sha256, chunkSize, chunks } = row;
    const { tags, visibility, readers, replicas, publishedAt } = row;
    const signed = {
      ...{ id, ownerId, owner, name, version, size, sha256, chunkSize, chunks },
      ...{ tags, visibility, readers, replicas, publishedAt },
    };
    const claims = { ...claimsOf(signed, 'record'), revision: nextRevision(this.#deps.now(), previous) };
    return { ...signed, record: await this.#deps.signer.record(claims) };
  }

  async #tombstone(row: FileRow, only: boolean): Promise<TombstoneRow> {
    const removedAt = this.#deps.now();
    const claims = { ...claimsOf({ ...row, publishedAt: removedAt }, 'tombstone'), ...(only && { only }) };
    const record = await this.#deps.signer.record(claims);
    return { ownerId: row.ownerId, name: row.name, version: row.version, id: row.id, removedAt, record, only };
  }
}

function checkCondition(
  { name, ifMatch, ifNoneMatch }: Pick<PublishRequest, 'name' | 'ifMatch' | 'ifNoneMatch'>,
  current: FileRow | undefined,
): void {
  const isAmong = (ids: readonly string[]) => current !== undefined && (ids.includes('*') || ids.includes(current.id));
  if (ifMatch !== undefined && !isAmong(ifMatch)) {
    const what = current === undefined ? `there is no '${name}'` : `'${name}' is now ${current.id}`;
    throw new ShoalError('conflict', what);
  }
  if (ifNoneMatch !== undefined && isAmong(ifNoneMatch)) {
    throw new ShoalError('conflict', `'${name}' is taken by ${current?.id}`);
  }
}

function checkSizes({ size, chunkSize, chunks }: PublishRequest): void {
  if (chunks === Math.ceil(size / chunkSize)) return;
  throw new ShoalError('invalid', `${size} bytes in chunks of ${chunkSize} are not ${chunks} chunks`);
}

function checkReaders(visibility: FileRow['visibility'], readers: readonly string[]): void {
  if (visibility === 'private' || readers.length === 0) return;
  throw new ShoalError('invalid', 'a public file is shared with everyone, so it cannot be shared with some', {
    hint: 'make it private too: --visibility private --share USER',
  });
}

function applyPatch(
  row: FileRow,
  change: { readonly body: PatchBody; readonly added: readonly string[]; readonly removed: ReadonlySet<string> },
): Omit<FilePatch, 'record'> {
  const visibility = change.body.visibility ?? row.visibility;
  checkReaders(visibility, change.added);
  const readers = [...new Set([...row.readers, ...change.added])];
  const tags = Object.entries({ ...row.tags, ...change.body.tags }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return {
    tags: Object.fromEntries(tags),
    visibility,
    readers: visibility === 'public' ? [] : readers.filter((id) => id !== row.ownerId && !change.removed.has(id)),
    replicas: change.body.replicas ?? row.replicas,
  };
}
