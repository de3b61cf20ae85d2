import { ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { Holder } from '../index-server/api/files.js';
import type { Order } from '../index-server/api/peers.js';
import type { IndexClient } from '../index-server/client.js';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import type { Membership } from './membership.js';
import { recordsBeyond } from './records.js';
import type { Removals } from './removals.js';
import type { Fetcher } from './swarm/fetcher.js';
import type { TicketVerifier } from './tickets.js';
import type { Tombstones } from './tombstones.js';
import type { WorkGate } from './work-gate.js';

/*
 * Does what the index asks for in its answers to heartbeats. Orders are repeated until our holdings show that they are
 * done, so nothing is kept here over a restart, and a failure only means that the next repetition comes too early.
 */

const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 5 * 60_000;

type ReplicateOrder = Extract<Order, { do: 'replicate' }>;
type UpdateOrder = Extract<Order, { do: 'update' }>;

/** What an {@link OrderRunner} works with. */
export interface OrderRunnerDeps {
  readonly store: Pick<ChunkStore, 'get'>;
  readonly fetcher: Pick<Fetcher, 'start'>;
  readonly verifier: Pick<TicketVerifier, 'verifyRecord'>;
  readonly index: Pick<IndexClient, 'locate' | 'restore'>;
  readonly membership: Pick<Membership, 'auth' | 'livePeers' | 'peerName'> & { beatNow(): void };
  readonly removals: Pick<Removals, 'remove'>;
  readonly tombstones: Pick<Tombstones, 'keepFor'>;
  /** Told when the records beside a file are not what they were. */
  readonly announcer: { changed(id: string): void };
  readonly gate: Pick<WorkGate, 'isOpen' | 'check'>;
  readonly log: Logger;
  readonly now: () => number;
}

/** How much to do at a time. */
export interface OrderRunnerOptions {
  /** Files that are replicated at once. */
  readonly concurrency: number;
}

/** Makes copies and carries out the index's other orders, from the first {@link take} until {@link stop}. */
export class OrderRunner {
  readonly #deps: OrderRunnerDeps;
  readonly #options: OrderRunnerOptions;
  readonly #stopped = new AbortController();
  readonly #waiting = new Map<string, ReplicateOrder>();
  readonly #running = new Map<string, Promise<void>>();
  /** Ends each of those: a signal of its own, so that nothing of a copy stays at one that lives as long as the process. */
  readonly #ends = new Set<AbortController>();
  /** Files that other peers asked us to copy, and how many of them. */
  readonly #asked = new Map<string, number>();
  readonly #failed = new Map<string, { readonly times: number; readonly notBeforeMs: number }>();
  /** What was logged of orders that fail: they are repeated, and the log need not be. */
  readonly #told = new Map<string, string>();
  /** Whether a copy was made since the index was last asked what to do. */
  #hasMade = false;
  #quick: Promise<void> = Promise.resolve();

  constructor(deps: OrderRunnerDeps, options: OrderRunnerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Takes the orders of one answer, which was asked for at `askedAtMs`. They replace those that still wait. */
  take(orders: readonly Order[], askedAtMs: number): void {
    if (this.#stopped.signal.aborted) return;
    this.#waiting.clear();
    const wanted = new Set(orders.map((order) => order.id));
    for (const id of this.#failed.keys()) if (!wanted.has(id)) this.#failed.delete(id);
    for (const id of this.#told.keys()) if (!wanted.has(id)) this.#told.delete(id);
    for (const order of orders) {
      // The index had not heard that this peer drains when it gave them.
      if (order.do === 'replicate' && !this.#deps.gate.isOpen) continue;
      if (order.do === 'replicate' && this.#running.has(order.id)) this.#refresh(order);
      else if (order.do === 'replicate') this.#waiting.set(order.id, order);
      else this.#quick = this.#quick.then(() => this.#doQuickly(order, askedAtMs));
    }
    this.#startMore();
  }

  /** The index has been told what is here now. If all it ordered is done, it may have more. */
  announced(): void {
    if (!this.#hasMade || this.#running.size > 0 || this.#waiting.size > 0) return;
    this.#hasMade = false;
    this.#deps.membership.beatNow();
  }

  /** Whether a copy of this file is being made for the swarm, not for a user whose right to it the index would know. */
  isReplicating(id: string): boolean {
    return this.#running.has(id) || this.#asked.has(id);
  }

  /**
   * Makes a copy because a peer asked for it with `ticket`; returns the bytes that it took. The copy has its record when it
   * is complete, so that it can be announced, unless the index is away. Errors as those of a fetch.
   */
  async replicate(id: string, ticket: string, signal: AbortSignal): Promise<{ readonly receivedBytes: number }> {
    const { store, fetcher, membership } = this.#deps;
    if (store.get(id)?.isComplete) return { receivedBytes: 0 };
    this.#deps.gate.check();
    this.#asked.set(id, (this.#asked.get(id) ?? 0) + 1);
    try {
      // The index is likely to have an order for it, with all its records and fresh tickets.
      membership.beatNow();
      const known = await this.#lookUp(id, ticket, signal);
      const { receivedBytes } = await fetcher.start({ id, ticket, ...known }).finished(signal);
      return { receivedBytes };
    } finally {
      const users = (this.#asked.get(id) ?? 1) - 1;
      if (users > 0) this.#asked.set(id, users);
      else this.#asked.delete(id);
    }
  }

  /** What the index tells to who shows this ticket; the live peers, who may hold it, where it cannot be asked. */
  async #lookUp(
    id: string,
    ticket: string,
    signal: AbortSignal,
  ): Promise<{ readonly holders: readonly Holder[]; readonly record?: string; readonly sha256?: string }> {
    const { index, membership, log } = this.#deps;
    const holders = new Map<string, Holder>(
      membership.livePeers.map(({ name: peer, address }) => [peer, { peer, address, complete: false }]),
    );
    try {
      const { record, file } = await index.locate(membership.auth(ticket), { ref: id }, signal);
      for (const holder of file.holders) if (holder.peer !== membership.peerName) holders.set(holder.peer, holder);
      return { holders: [...holders.values()], record, sha256: file.sha256 };
    } catch (thrown) {
      signal.throwIfAborted();
      log.debug({ id, error: toShoalError(thrown) }, 'the record of a copy could not be asked for; an order brings it');
      return { holders: [...holders.values()] };
    }
  }

  /** Stops what runs, keeping what was fetched, and takes no more. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const end of this.#ends) end.abort();
    this.#waiting.clear();
    await Promise.all([...this.#running.values(), this.#quick]);
  }

  async #doQuickly(order: Exclude<Order, ReplicateOrder>, askedAtMs: number): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    try {
      if (order.do === 'update') {
        await this.#update(order);
        return;
      }
      const { tombstones, removals } = this.#deps;
      if (await tombstones.keepFor(order.tombstones ?? [], () => removals.remove(order.id, askedAtMs))) {
        this.#deps.log.info({ id: order.id }, 'removed a file that is no longer in the catalogue');
      }
    } catch (error) {
      this.#orderFailed(order, toShoalError(error));
    }
  }

  #orderFailed({ id, do: kind }: Order, error: ShoalError): void {
    const what = `${kind}: ${error.message}`;
    if (this.#told.get(id) === what) return;
    this.#told.set(id, what);
    this.#deps.log.warn({ id, order: kind, error }, 'an order failed; the index repeats it');
  }

  async #update({ id, records }: UpdateOrder): Promise<void> {
    const file = this.#deps.store.get(id);
    if (file === undefined) return;
    // An index that lost its store knows only what it was given back so far: what is newer here, or not known there, it
    // gets before it is overwritten. What it takes, it orders again; what it refuses is over.
    const beyond = recordsBeyond(file.records, records);
    if (beyond.length > 0 && (await this.#giveBack(beyond)) > 0) {
      this.#deps.announcer.changed(id);
      return;
    }
    await this.#keep(file, records);
  }

  async #giveBack(records: readonly string[]): Promise<number> {
    const { index, membership } = this.#deps;
    const { restored } = await index.restore(membership.auth(), membership.peerName, records, this.#stopped.signal);
    return restored;
  }

  /** Keeps records that came with an order, once they are known to be the index's and of this file. */
  async #keep(file: StoredFile, records: readonly string[]): Promise<void> {
    const claims = await Promise.all(records.map((record) => this.#deps.verifier.verifyRecord(record)));
    const stranger = claims.find(({ id }) => id !== file.id);
    if (stranger !== undefined) throw new ShoalError('corrupt', `a record for ${file.id} is of ${stranger.id}`);
    const [first] = claims;
    if (first === undefined) return;
    await file.setRecords(records, { sha256: first.sha256 });
    this.#deps.announcer.changed(file.id);
  }

  /** A repeated order brings a fresh ticket and the holders of now to the fetch that is under way. */
  #refresh({ id, ticket, holders }: ReplicateOrder): void {
    if (this.#deps.store.get(id)?.isComplete !== true) this.#deps.fetcher.start({ id, ticket, holders });
  }

  #startMore(): void {
    for (const [id, order] of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      if (this.#deps.now() < (this.#failed.get(id)?.notBeforeMs ?? 0)) continue;
      this.#waiting.delete(id);
      const run = this.#replicate(order).finally(() => {
        this.#running.delete(id);
        if (!this.#stopped.signal.aborted) this.#startMore();
      });
      this.#running.set(id, run);
    }
  }

  async #replicate(order: ReplicateOrder): Promise<void> {
    const { id, records, ticket, holders } = order;
    const end = new AbortController();
    const { signal } = end;
    this.#ends.add(end);
    try {
      const here = this.#deps.store.get(id);
      if (here?.isComplete) {
        // The index had not heard of it when it gave the order.
        await this.#keep(here, records);
        return;
      }
      const fetch = this.#deps.fetcher.start({ id, ticket, holders });
      const opened = fetch.opened(signal).then((file) => this.#keep(file, records));
      await Promise.all([fetch.finished(signal), opened]);
      this.#failed.delete(id);
      this.#hasMade = true;
    } catch (thrown) {
      if (this.#stopped.signal.aborted) return;
      const times = (this.#failed.get(id)?.times ?? 0) + 1;
      const waitMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 20));
      this.#failed.set(id, { times, notBeforeMs: this.#deps.now() + waitMs });
      const error = toShoalError(thrown);
      this.#deps.log.warn({ id, times, error }, 'could not make the copy that the index asked for');
    } finally {
      this.#ends.delete(end);
    }
  }
}
