import type { z } from 'zod';
import { ShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type {
  Announced,
  announceBodySchema,
  HeartbeatAnswer,
  HeartbeatBody,
  JoinBody,
  Joined,
  Peer,
  ReportBody,
} from './api/peers.js';
import { recordsRevision } from './api/peers.js';
import { LIMITS } from './api/values.js';
import { PEER_SUBJECT } from './auth.js';
import type { Catalog, PeerRow } from './catalog.js';
import type { IndexMetrics } from './metrics.js';
import type { Orders } from './orders.js';
import { type PeerDirectory, stateOf } from './peer-directory.js';
import type { Replicator } from './replicator.js';
import type { PeerIdentity, Signer } from './signer.js';

/*
 * How peers come, stay and go: join, heartbeats that keep the lease and carry orders back, announcements of what they
 * hold, withdrawal. All but the signed records is soft state that peers tell again.
 */

/** What {@link Membership} needs. `random` gives numbers from 0 up to, not including, 1. */
export interface MembershipDeps {
  readonly catalog: Catalog;
  readonly directory: PeerDirectory;
  readonly orders: Orders;
  readonly replicator: Replicator;
  readonly signer: Signer;
  readonly metrics: IndexMetrics;
  readonly log: Logger;
  now(): number;
  random(): number;
}

/** Peers that a lease of the configured length is meant for; beyond, it grows in proportion. */
const LEASE_PEERS = 1000;
/** Tombstones told of one file that a peer announced and that was removed. */
const TOMBSTONES_TOLD = 10;
/** Peers told in a heartbeat answer. */
const PEERS_TOLD = 64;

/** An announcement with its defaults filled in. */
export type AnnounceRequest = z.output<typeof announceBodySchema>;

/** The swarm as the index sees it. */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #leaseMs: number;
  /** Peers that joined here and have not announced everything since, with their incarnation. */
  readonly #unannounced = new Map<string, string>();

  constructor(deps: MembershipDeps, options: { readonly leaseMs: number }) {
    this.#deps = deps;
    this.#leaseMs = options.leaseMs;
  }

  /** Takes a peer in; whatever was live under its name before is replaced. */
  async join(body: JoinBody): Promise<Joined> {
    const { catalog, directory, log, metrics, now } = this.#deps;
    const before = await catalog.peer(body.name);
    if (before !== undefined && stateOf(before, now()) !== 'gone' && before.address !== body.address) {
      log.warn({ peer: body.name, before: before.address, now: body.address }, 'a peer joined under a live name');
    }
    const times = await this.#times();
    const { name, address, version, incarnation, files, bytesUsed, bytesFree } = body;
    const row = { name, address, version, incarnation, files, bytesUsed, bytesFree } as const;
    const joined = { ...row, state: 'live', leaseUntil: now() + times.leaseMs } as const;
    await catalog.putPeer(joined);
    directory.note(joined);
    this.#unannounced.set(body.name, body.incarnation);
    metrics.joins.inc();
    return { ...(await this.#tokens(body)), ...times, storeId: await catalog.storeId() };
  }

  /** Extends a lease. Throws `not_found` when the peer has to join (again). */
  async heartbeat(peer: PeerIdentity, body: HeartbeatBody): Promise<HeartbeatAnswer> {
    const { catalog, directory, orders, now } = this.#deps;
    checkIncarnation(peer, body.incarnation);
    const { incarnation, state, files, bytesUsed, bytesFree } = body;
    const times = await this.#times();
    const leaseUntil = now() + times.leaseMs;
    const row = await catalog.heartbeat({
      ...{ name: peer.name, incarnation, state, leaseUntil },
      files,
      bytesUsed,
      bytesFree,
    });
    if (row === undefined) throw mustJoin(peer.name);
    directory.note(row);
    const live = await directory.live();
    return {
      ...times,
      ...(body.renew === true && { membership: { ...(await this.#tokens(peer)), ...times } }),
      announceAll: await this.#mustAnnounceAll(row),
      orders: [...(await orders.for(row))],
      peers: sampleOthers(live, { size: PEERS_TOLD, except: peer.name, random: this.#deps.random }),
      livePeers: live.length,
    };
  }

  /** Takes over what a peer holds. Throws `not_found` when the peer has to join (again). */
  async announce(peer: PeerIdentity, body: AnnounceRequest): Promise<Announced> {
    const { catalog, metrics } = this.#deps;
    checkIncarnation(peer, body.incarnation);
    const row = await catalog.peer(peer.name);
    if (row?.incarnation !== peer.incarnation || row.state === 'withdrawn') throw mustJoin(peer.name);
    metrics.announces.inc();
    const mark = body.full === 'begin' || body.full === 'only' ? await catalog.beginFull(peer.name) : body.mark;
    const { known, removed, unknown } = await this.#sortOut(body.held.map(({ id }) => id));
    const gone = new Set(removed);
    const held = body.held.filter(({ id }) => !gone.has(id));
    await catalog.hold(
      peer.name,
      held.map(({ id, complete }) => ({ id, complete })),
    );
    await this.#settle(peer.name, { held, dropped: body.dropped, known });
    if (body.full === 'end' || body.full === 'only') await this.#endFull(peer, mark);
    const tombstones = await this.#tombstonesOf(removed);
    return {
      unknown,
      removed,
      ...(tombstones.length > 0 && { tombstones }),
      ...(body.full === 'begin' && mark !== undefined && { mark }),
    };
  }

  /**
   * The peer leaves. Its holdings are offered again when it comes back; if it does not, `leftBehind` files went with it.
   */
  async withdraw(peer: PeerIdentity, leftBehind: number): Promise<void> {
    const { catalog, directory, log, metrics } = this.#deps;
    const before = await catalog.peer(peer.name);
    // Said twice, it is counted once.
    if (leftBehind > 0 && before?.incarnation === peer.incarnation && before.state !== 'withdrawn') {
      metrics.leftBehind.inc(leftBehind);
      log.warn({ peer: peer.name, files: leftBehind }, 'a peer left for good with the only copies of some files');
    }
    await catalog.withdrawPeer(peer.name, peer.incarnation);
    this.#unannounced.delete(peer.name);
    const row = await catalog.peer(peer.name);
    if (row !== undefined) directory.note(row);
  }

  /** Peers in order of name; those that went are shown for an hour. */
  async peers(): Promise<Peer[]> {
    return (await this.#deps.directory.all()).map(({ row, state }) => ({
      name: row.name,
      address: row.address,
      state,
      files: row.files,
      bytesUsed: row.bytesUsed,
      bytesFree: row.bytesFree,
      version: row.version,
    }));
  }

  /** A peer served corrupt bytes: its copy is not offered, nor counted, until the peer announces it again. */
  async report({ id, peer }: ReportBody, reporter: PeerIdentity): Promise<void> {
    const { catalog, log, metrics, replicator } = this.#deps;
    if (!(await catalog.knownIds([id])).has(id)) throw new ShoalError('not_found', `there is no file ${id}`);
    metrics.reports.inc();
    log.warn({ file: id, peer, reporter: reporter.name }, 'a peer served corrupt bytes');
    await catalog.release(peer, [id]);
    await replicator.ensureCopies(id, { excluded: [peer] });
  }

  async #times(): Promise<{ heartbeatMs: number; leaseMs: number }> {
    const live = (await this.#deps.directory.live()).length;
    const leaseMs = Math.ceil(this.#leaseMs * Math.max(1, live / LEASE_PEERS));
    return { leaseMs, heartbeatMs: Math.floor(leaseMs / 3) };
  }

  async #tokens(peer: PeerIdentity): Promise<Pick<Joined, 'peerToken' | 'swarmToken' | 'tokensExpireAt' | 'keys'>> {
    const { signer, now } = this.#deps;
    const peerToken = await signer.peerToken(peer, now());
    const swarmToken = await signer.ticket({ sub: `${PEER_SUBJECT}${peer.name}`, name: peer.name, act: 'peer' }, now());
    return {
      peerToken: peerToken.token,
      swarmToken: swarmToken.token,
      tokensExpireAt: new Date(Math.min(peerToken.expiresAt, swarmToken.expiresAt)).toISOString(),
      keys: [signer.publicJwk],
    };
  }

  async #tombstonesOf(ids: readonly string[]): Promise<string[]> {
    const found = new Set<string>();
    for (const id of ids) {
      for (const record of await this.#deps.catalog.tombstonesOf(id, TOMBSTONES_TOLD)) found.add(record);
    }
    return [...found];
  }

  async #mustAnnounceAll({ name, incarnation, files }: PeerRow): Promise<boolean> {
    if (this.#unannounced.get(name) === incarnation) return true;
    if (files === 0) return false;
    return (await this.#deps.catalog.holdingsOf(name, { limit: 1 })).rows.length === 0;
  }

  async #sortOut(
    ids: readonly string[],
  ): Promise<{ known: ReadonlySet<string>; removed: string[]; unknown: string[] }> {
    const { catalog } = this.#deps;
    const known = await catalog.knownIds(ids);
    const others = [...new Set(ids)].filter((id) => !known.has(id));
    const removed = others.length === 0 ? new Set<string>() : await catalog.removedIds(others);
    return { known, removed: [...removed], unknown: others.filter((id) => !removed.has(id)) };
  }

  /** What was ordered and is done is ordered no longer. */
  async #settle(
    peer: string,
    { held, dropped, known }: Pick<AnnounceRequest, 'held' | 'dropped'> & { readonly known: ReadonlySet<string> },
  ): Promise<void> {
    const { catalog } = this.#deps;
    if (dropped.length > 0) {
      await catalog.release(peer, dropped);
      await catalog.deleteOrders(peer, 'drop', dropped);
      await catalog.deleteOrders(peer, 'update', dropped);
    }
    const complete = held.filter((holding) => holding.complete).map(({ id }) => id);
    if (complete.length > 0) await catalog.deleteOrders(peer, 'replicate', complete);
    const compared = held.filter(({ id, revision }) => revision !== undefined && known.has(id));
    if (compared.length > 0) await this.#compareRecords(peer, compared);
  }

  /** The orders go first and the records are read after, so that a change in between is not lost. */
  async #compareRecords(peer: string, held: AnnounceRequest['held']): Promise<void> {
    const { catalog, replicator } = this.#deps;
    const ids = held.map(({ id }) => id);
    await catalog.deleteOrders(peer, 'update', ids);
    const records = await catalog.recordsWithIds(ids, LIMITS.records);
    const outdated = held.filter(({ id, revision }) => {
      const current = records.get(id);
      return current !== undefined && recordsRevision(current) !== revision;
    });
    await replicator.recordsOutdated(
      peer,
      outdated.map(({ id }) => id),
    );
  }

  async #endFull(peer: PeerIdentity, mark: string | undefined): Promise<void> {
    if (mark === undefined) throw new ShoalError('invalid', "body.mark: is needed with full 'end'");
    await this.#deps.catalog.endFull(peer.name, mark);
    this.#unannounced.delete(peer.name);
  }
}

function checkIncarnation(peer: PeerIdentity, incarnation: string): void {
  if (peer.incarnation !== incarnation) throw mustJoin(peer.name);
}

function mustJoin(name: string): ShoalError {
  return new ShoalError('not_found', `the peer '${name}' is not known as this process; it has to join again`);
}

/** `size` peers of all but one, beginning at a random one and wrapping round: cheap, and even over many calls. */
function sampleOthers(
  rows: readonly PeerRow[],
  { size, except, random }: { readonly size: number; readonly except: string; random(): number },
): { name: string; address: string }[] {
  const start = Math.floor(random() * rows.length);
  const around = [...rows.slice(start, start + size + 1), ...rows.slice(0, Math.min(start, size + 1))];
  return around
    .filter(({ name }) => name !== except)
    .slice(0, size)
    .map(({ name, address }) => ({ name, address }));
}
