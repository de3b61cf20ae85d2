import { type ShoalError, toShoalError } from '../../common/errors.js';
import type { Holder } from '../../index-server/api/files.js';
import type { Candidates } from './candidates.js';
import type { FetcherDeps, FetchRequest } from './fetch.js';

/*
 * Where the candidates of one fetch come from: those who want the file know some holders, peers name each other, and the
 * index is asked again and again, soon at first and then less and less. Whom of them to dial is decided in candidates.ts.
 */

/** How often to ask the index for more holders, in milliseconds. */
const FIRST_LOCATE_MS = 300;
const MAX_LOCATE_MS = 10_000;
/** The most between two questions while nobody has anything for us. */
const WAITING_LOCATE_MS = 1_000;

/** What a search tells its fetch. */
export interface HolderSearchListener {
  /** There may be somebody to dial. */
  onFound(): void;
  /** The index says that the file may not be read, or is not there: `not_found`, `denied` or `unauthenticated`. */
  onForbidden(error: ShoalError): void;
}

/** What a search needs. */
export interface HolderSearchDeps extends Pick<FetcherDeps, 'membership' | 'locate' | 'log' | 'now'> {
  /** Filled by the search. */
  readonly candidates: Candidates;
  readonly listener: HolderSearchListener;
  /** Whether somebody has something for us now. */
  readonly hasSource: () => boolean;
  /** Fires when the fetch is over: nothing is told any more. */
  readonly signal: AbortSignal;
}

/** Looks for holders of one file, and keeps what the index says of it. */
export class HolderSearch {
  readonly #deps: HolderSearchDeps;
  #request: FetchRequest;
  #nextLocateMs: number;
  #locateDelayMs = FIRST_LOCATE_MS;
  #isLocating = false;
  #isIndexAway = false;

  /** The holders that `request` names are not candidates until they are {@link add}ed. */
  constructor(deps: HolderSearchDeps, request: FetchRequest) {
    this.#deps = deps;
    this.#request = request;
    this.#nextLocateMs = deps.now() + (request.holders.length === 0 ? 0 : FIRST_LOCATE_MS);
  }

  /** What is known of the file by now. */
  get request(): FetchRequest {
    return this.#request;
  }

  /** What to show to those who are dialled; undefined when there is nothing that they would accept. */
  get ticket(): string | undefined {
    return this.#request.ticket ?? this.#deps.membership.swarmToken;
  }

  /** Peers that have all of it, are not here, and may come back. */
  get away(): readonly string[] {
    return this.#request.away ?? [];
  }

  /** The index could not be asked when it was asked last. */
  get isIndexAway(): boolean {
    return this.#isIndexAway;
  }

  /** When to {@link ask} the index next. */
  get nextAskMs(): number {
    return this.#nextLocateMs;
  }

  /** Somebody else wants the same file, and may know more of it. */
  learn(request: FetchRequest): void {
    this.#request = { ...this.#request, ...request };
    this.add(request.holders);
  }

  /** These may be dialled. */
  add(holders: readonly Holder[]): void {
    if (holders.length === 0) return;
    for (const holder of holders) this.#deps.candidates.add(holder, holder.complete);
    this.#deps.listener.onFound();
  }

  /** A peer that takes part in this file's swarm, by its name. `isHere` says that it has just called us. */
  meet(peer: string, { isHere }: { readonly isHere: boolean }): void {
    // Only addresses that the index told are dialled, not what others say.
    const known = this.#deps.membership.livePeers.find(({ name }) => name === peer);
    if (known === undefined) return;
    if (isHere) this.#deps.candidates.seen(peer);
    this.add([{ peer, address: known.address, complete: false }]);
  }

  /** Somebody left: others may have come, and the index is asked soon. */
  hurry(nowMs: number): void {
    this.#locateDelayMs = FIRST_LOCATE_MS;
    this.#nextLocateMs = Math.min(this.#nextLocateMs, nowMs + FIRST_LOCATE_MS);
  }

  /** Asks the index, unless it is being asked. Never rejects. */
  async ask(): Promise<void> {
    if (this.#isLocating) return;
    this.#isLocating = true;
    const { locate, candidates, now, signal, hasSource } = this.#deps;
    try {
      const { ticket, away = [], holders } = await locate(this.#request, signal);
      this.#isIndexAway = false;
      this.#request = { ...this.#request, ticket, away };
      this.add(holders);
      for (const { peer } of holders) candidates.expect(peer, now());
    } catch (error) {
      this.#failed(toShoalError(error));
    } finally {
      this.#isLocating = false;
      const mostMs = hasSource() ? MAX_LOCATE_MS : WAITING_LOCATE_MS;
      this.#nextLocateMs = now() + Math.min(this.#locateDelayMs, mostMs);
      this.#locateDelayMs = Math.min(MAX_LOCATE_MS, this.#locateDelayMs * 2);
    }
  }

  #failed(error: ShoalError): void {
    const { signal, listener, log, membership, candidates } = this.#deps;
    if (signal.aborted) return;
    if (error.code === 'not_found' || error.code === 'denied' || error.code === 'unauthenticated') {
      // The index knows better than anybody whether this may still be read.
      listener.onForbidden(error);
      return;
    }
    this.#isIndexAway = true;
    log.debug({ error, file: this.#request.id }, 'the index could not be asked; trying the peers known so far');
    for (const { name, address } of membership.livePeers) candidates.add({ peer: name, address }, false);
    listener.onFound();
  }
}
