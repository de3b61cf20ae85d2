import { createHash } from 'node:crypto';
import { ShoalError, toShoalError } from '../common/errors.js';
import { isFileId, refProblem } from '../common/names.js';
import type { Holder, Located } from '../index-server/api/files.js';
import { LIMITS } from '../index-server/api/values.js';
import type { IndexClient } from '../index-server/client.js';
import { neverAborted, unlessAborted } from './abort.js';
import { type AskMany, CallBatches } from './call-batches.js';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { type IndexWait, isAway, type WaitListener } from './index-wait.js';
import type { Membership } from './membership.js';
import { isPublic, mergeRecord } from './records.js';
import { SMALL_FILE_BYTES } from './small-files.js';
import type { Fetch } from './swarm/fetch.js';
import type { Fetcher } from './swarm/fetcher.js';
import type { SmallFetcher, SmallFetchOutcome } from './swarm/small-fetcher.js';
import type { TicketVerifier } from './tickets.js';

/*
 * From a reference to a file that can be read. The index says who may read what, and is asked each time; only when it is
 * away does this fall back to what is known here: an id that the same user has located before, or one that is public. What
 * cannot be had in that way waits until the index is back.
 */

/** Answers of the index that are kept for when it is away. */
const KNOWN_LOCATIONS = 1_000;
/** With two calls at once the index works on one while the answer to the other is on its way. */
const LOCATE_BATCHES = { callsAtOnce: 2, questionsAtOnce: LIMITS.locates, keyOf: (ref: string) => ref };

const BY_ID = 'while the index is away a file can only be fetched by its id';
const PUBLIC_OR_KNOWN = 'while the index is away only public files can be fetched, and those fetched before';

/** A file to read: here already, or on its way. Exactly one of `file` and `fetch` is there. */
export interface Retrieved {
  readonly id: string;
  /** Undefined when the index is away and nobody here knew the file. */
  readonly located: Located | undefined;
  /** The whole file, when it is here. */
  readonly file?: StoredFile;
  /** The fetch that brings it, when it is not. */
  readonly fetch?: Fetch;
  /** Begins or joins a fetch of what is missing: for a file of which chunks turn out to be damaged here. */
  readonly refetch: () => Fetch;
}

/** What a {@link Retriever} works with. */
export interface RetrieverDeps {
  readonly store: Pick<ChunkStore, 'get'>;
  readonly index: Pick<IndexClient, 'locateMany'>;
  readonly fetcher: Pick<Fetcher, 'start' | 'get'>;
  readonly smallFetcher: Pick<SmallFetcher, 'fetch'>;
  readonly membership: Pick<Membership, 'auth' | 'livePeers' | 'swarmToken' | 'peerName'>;
  readonly verifier: Pick<TicketVerifier, 'verifyRecord'>;
  readonly wait: Pick<IndexWait, 'run'>;
}

/** Who asks. */
export interface RetrieveOptions extends WaitListener {
  /** Session of the user who asks; the peer's own account when it is not given. */
  readonly onBehalf?: string | undefined;
}

/** Resolves references and gets files going. */
export class Retriever {
  readonly #deps: RetrieverDeps;
  readonly #batches: CallBatches<string, Located>;
  /** By user and id, least recently used first. */
  readonly #known = new Map<string, Located>();
  /** Users whose session the index has accepted, by its hash, least recently used first. */
  readonly #users = new Map<string, true>();

  constructor(deps: RetrieverDeps) {
    this.#deps = deps;
    const { index, membership } = deps;
    const ask: AskMany<string, Located> = async (refs, onBehalf) =>
      index.locateMany(membership.auth(onBehalf), refs, neverAborted());
    this.#batches = new CallBatches({ ask }, LOCATE_BATCHES);
  }

  /**
   * What the reference stands for, without fetching anything; errors as {@link retrieve}. While the index is away this
   * waits for a name, and not for an id, which can perhaps be had without it.
   */
  async locate(ref: string, options: RetrieveOptions, signal: AbortSignal): Promise<Located> {
    if (isFileId(ref)) return this.#locateOnce(ref, options, signal);
    return this.#deps.wait.run(() => this.#locateOnce(ref, options, signal), options, signal);
  }

  /**
   * The file, or the fetch of it, which the caller must wait for or cancel. Throws `not_found` when there is no such
   * file or the user may not read it, `conflict` when the reference is ambiguous, and `unavailable` when the index stays
   * away and the file cannot be had without it.
   */
  async retrieve(ref: string, options: RetrieveOptions, signal: AbortSignal): Promise<Retrieved> {
    try {
      return await this.open(await this.locate(ref, options, signal), options);
    } catch (thrown) {
      const error = toShoalError(thrown);
      if (signal.aborted || !isAway(error) || !isFileId(ref)) throw isAway(error) ? withHint(error, BY_ID) : error;
      return await this.#retrieveAlone(ref, options, { why: error, signal });
    }
  }

  /** As {@link retrieve}, for what was located already. */
  async open(located: Located, options: RetrieveOptions): Promise<Retrieved> {
    const { id } = located.file;
    const refetch = this.#fetchOf(located, options);
    const file = this.#deps.store.get(id);
    if (file?.isComplete) {
      await this.#keepRecord(file, located);
      return { id, located, file, refetch };
    }
    return { id, located, fetch: refetch(), refetch };
  }

  #fetchOf(located: Located, { onBehalf }: RetrieveOptions): () => Fetch {
    const { id, sha256 } = located.file;
    const { record, ticket, away } = located;
    const holders = this.#others(located.file.holders);
    const more = { ...(away !== undefined && { away }), ...(onBehalf !== undefined && { onBehalf }) };
    return () => this.#deps.fetcher.start({ id, record, ticket, sha256, holders, ...more });
  }

  /**
   * The whole file, fetched if it is not here, perhaps with its bytes; errors as {@link retrieve} and as those of a fetch. Small ones are fetched
   * together with others that are wanted at the same time.
   */
  async retrieveWhole(
    ref: string,
    options: RetrieveOptions,
    signal: AbortSignal,
  ): Promise<Pick<Retrieved, 'located' | 'refetch'> & SmallFetchOutcome> {
    const located = await this.locate(ref, options, signal).catch((thrown: unknown) => {
      if (signal.aborted || !isAway(toShoalError(thrown))) throw thrown;
      // What can be had without the index is found out below.
      return undefined;
    });
    if (located !== undefined && this.#goesWithOthers(located)) {
      const refetch = this.#fetchOf(located, options);
      return { located, refetch, ...(await this.#fetchSmall(located, refetch, signal)) };
    }
    const opened =
      located === undefined ? await this.retrieve(ref, options, signal) : await this.open(located, options);
    const { file, fetch, refetch } = opened;
    if (file !== undefined) return { located, refetch, file, receivedBytes: 0, peers: 0 };
    if (fetch === undefined) throw new ShoalError('internal', 'a file was retrieved that is neither here nor fetched');
    return { located: opened.located, refetch, ...(await fetch.finished(signal)) };
  }

  /** Whether it is small, and nothing of it is here or on its way. */
  #goesWithOthers({ file: { id, size } }: Located): boolean {
    const { store, fetcher } = this.#deps;
    return size <= SMALL_FILE_BYTES && store.get(id) === undefined && fetcher.get(id) === undefined;
  }

  #fetchSmall(
    { file, record, ticket }: Located,
    refetch: () => Fetch,
    signal: AbortSignal,
  ): Promise<SmallFetchOutcome> {
    const { id, size, visibility } = file;
    const fetching = this.#deps.smallFetcher.fetch({
      ...{ id, size, record, holders: this.#others(file.holders) },
      ticket: visibility === 'public' ? '' : ticket,
      otherwise: () => refetch().finished(neverAborted()),
    });
    return unlessAborted(fetching, signal);
  }

  async #locateOnce(ref: string, { onBehalf }: RetrieveOptions, signal: AbortSignal): Promise<Located> {
    // In a call for many, one that cannot be a reference would fail all.
    const problem = refProblem(ref);
    if (problem !== undefined) throw new ShoalError('invalid', `the reference '${ref}' ${problem}`);
    const located = await unlessAborted(this.#batches.get(ref, onBehalf), signal);
    this.#remember(located, onBehalf);
    return located;
  }

  /** What is known here is enough, or the index is waited for. */
  async #retrieveAlone(
    id: string,
    options: RetrieveOptions,
    { why, signal }: { readonly why: ShoalError; readonly signal: AbortSignal },
  ): Promise<Retrieved> {
    const user = userKey(options.onBehalf);
    const located = this.#known.get(knownKey(user, id));
    const ticket = located?.ticket ?? this.#deps.membership.swarmToken;
    const file = this.#deps.store.get(id);
    const isKnownUser = options.onBehalf === undefined || this.#users.has(user);
    const isReadable = file?.isComplete !== true || located !== undefined || isPublic(file.records);
    if (ticket === undefined || !isKnownUser || !isReadable) {
      const error = isKnownUser && !isReadable ? withHint(why, PUBLIC_OR_KNOWN) : why;
      return this.#retrieveLater(id, options, { why: error, signal });
    }
    const known = located !== undefined && { record: located.record, sha256: located.file.sha256 };
    const { onBehalf } = options;
    const refetch = () =>
      this.#deps.fetcher.start({
        ...{ id, ticket, holders: this.#likelyHolders(located), ...known },
        ...(onBehalf !== undefined && { onBehalf }),
      });
    if (file?.isComplete) return { id, located, file, refetch };
    return { id, located, fetch: refetch(), refetch };
  }

  async #retrieveLater(
    id: string,
    options: RetrieveOptions,
    { why, signal }: { readonly why: ShoalError; readonly signal: AbortSignal },
  ): Promise<Retrieved> {
    try {
      const located = await this.#deps.wait.run(() => this.#locateOnce(id, options, signal), options, signal);
      return await this.open(located, options);
    } catch (thrown) {
      const error = toShoalError(thrown);
      throw isAway(error) && !signal.aborted ? why : error;
    }
  }

  /** Those that the index named when it was last asked, and all that are live. */
  #likelyHolders(located: Located | undefined): readonly Holder[] {
    const holders = new Map(this.#others(located?.file.holders ?? []).map((holder) => [holder.peer, holder]));
    for (const { name: peer, address } of this.#deps.membership.livePeers) {
      if (!holders.has(peer)) holders.set(peer, { peer, address, complete: false });
    }
    return [...holders.values()];
  }

  /** Another name, or new readers, since the file came here: the record says so, and is what is announced. */
  async #keepRecord(file: StoredFile, { record, file: { sha256 } }: Located): Promise<void> {
    if (file.records.includes(record)) return;
    await this.#deps.verifier.verifyRecord(record);
    await file.setRecords(mergeRecord(file.records, record), { sha256 });
  }

  #others<T extends { readonly peer: string }>(holders: readonly T[]): readonly T[] {
    return holders.filter((holder) => holder.peer !== this.#deps.membership.peerName);
  }

  #remember(located: Located, onBehalf: string | undefined): void {
    const user = userKey(onBehalf);
    touch(this.#known, knownKey(user, located.file.id), located);
    if (onBehalf !== undefined) touch(this.#users, user, true);
  }
}

function touch<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > KNOWN_LOCATIONS && oldest.done !== true) map.delete(oldest.value);
}

function userKey(onBehalf: string | undefined): string {
  return onBehalf === undefined ? '' : createHash('sha256').update(onBehalf).digest('base64');
}

function knownKey(user: string, id: string): string {
  return `${user} ${id}`;
}

function withHint(error: ShoalError, hint: string): ShoalError {
  return new ShoalError(error.code, error.message, { cause: error, hint });
}
