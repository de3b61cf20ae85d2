import type { z } from 'zod';
import { type ErrorCode, ShoalError, toShoalError } from '../common/errors.js';
import type { FileDetail, PatchBody, Published, publishBodySchema } from './api/files.js';
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

/** What may be wrong with one file while others are published. */
const OF_ONE_FILE: ReadonlySet<ErrorCode> = new Set(['invalid', 'conflict', 'denied', 'not_found', 'exhausted']);

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
    const [outcome] = await this.publishMany(caller, [body]);
    if (outcome === undefined) throw new ShoalError('internal', 'a file was published without an outcome');
    if (outcome instanceof ShoalError) throw outcome;
    return outcome;
  }

  /**
   * {@link publish} for several files: what became of each, in their order. What is wrong with a file is told of that
   * file; what would be wrong with each, a store that does not answer say, is thrown, when some may be published already.
   */
  async publishMany(caller: Caller, bodies: readonly PublishRequest[]): Promise<readonly (Published | ShoalError)[]> {
    const peer = await this.#livePeer(caller);
    const checked = await Promise.all(bodies.map((body) => outcomeOf(() => this.#checked(body, caller.user))));
    const { catalog, replicator } = this.#deps;
    const ids = [...new Set(good(checked).map(({ body }) => body.id))];
    if (ids.length > 0) {
      // Before they are listed, so that nobody can find a file that nobody holds.
      await catalog.hold(
        peer,
        ids.map((id) => ({ id, complete: true })),
      );
      await catalog.deleteOrders(peer, 'drop', ids);
    }
    const made = await onGood(checked, (wanted) => this.#makeVersion(caller.user, wanted));
    const released = good(made).flatMap((version) => version.released);
    if (released.length > 0) await replicator.versionsGone(released);
    const published = await onGood(made, ({ row }) => this.#afterPublish(row, caller.user, peer));
    const [trouble] = published.filter(isTrouble);
    if (trouble !== undefined) throw trouble;
    return published;
  }

  /** A request whose parts fit together, with its readers' ids. */
  async #checked(body: PublishRequest, owner: UserRow) {
    checkSizes(body);
    return { body, readers: await this.#readersOf(body, owner) };
  }

  async #makeVersion(
    owner: UserRow,
    { body, readers }: { readonly body: PublishRequest; readonly readers: readonly string[] },
  ) {
    const { catalog, metrics, now } = this.#deps;
    let result: 'new_name' | 'new_version' | 'same_content' = 'new_name';
    const key = { ownerId: owner.id, name: body.name, id: body.id, keepVersions: this.#keepVersions };
    const version = await catalog.publish(key, async (number, previous) => {
      checkCondition(body, previous);
      const isSame = previous?.id === body.id;
      result = isSame ? 'same_content' : previous === undefined ? 'new_name' : 'new_version';
      const publishedAt = isSame ? previous.publishedAt : now();
      const row = { ...body, ownerId: owner.id, owner: owner.name, version: number, readers, publishedAt };
      return this.#sign(row, isSame ? previous.record : undefined);
    });
    metrics.publishes.inc({ result });
    return version;
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

  async #afterPublish(row: FileRow, owner: UserRow, publisher: string): Promise<Published> {
    const { catalog, replicator, finding } = this.#deps;
    // The publisher gets this record in its answer; it needs an update only if the id has others besides.
    const versions = await catalog.allVersionsWithId(row.id, 2);
    await replicator.recordsChanged(row.id, versions.length === 1 ? publisher : undefined);
    const targets = await replicator.ensureCopies(row.id);
    return {
      file: await finding.detail(row, owner),
      record: row.record,
      targets: targets.map(({ name, address }) => ({ peer: name, address })),
    };
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

/** What came of it, or what is the matter. */
async function outcomeOf<T>(work: () => Promise<T>): Promise<T | ShoalError> {
  try {
    return await work();
  } catch (thrown) {
    return toShoalError(thrown);
  }
}

/** What would be wrong with each file, not with one. */
function isTrouble(outcome: unknown): outcome is ShoalError {
  return outcome instanceof ShoalError && !OF_ONE_FILE.has(outcome.code);
}

function good<T>(outcomes: readonly (T | ShoalError)[]): T[] {
  return outcomes.flatMap((outcome) => (outcome instanceof ShoalError ? [] : [outcome]));
}

/** Goes on with what went well so far. */
function onGood<T, R>(
  outcomes: readonly (T | ShoalError)[],
  next: (outcome: T) => Promise<R>,
): Promise<(R | ShoalError)[]> {
  const each = outcomes.map(async (outcome) =>
    outcome instanceof ShoalError ? outcome : outcomeOf(() => next(outcome)),
  );
  return Promise.all(each);
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
