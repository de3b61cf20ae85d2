import { Deferred } from '../../common/deferred.js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Holder } from '../../index-server/api/files.js';
import { waitingText } from '../index-wait.js';
import type { Manifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { Candidates } from './candidates.js';
import { ChunkPicker } from './chunk-picker.js';
import { Conversation, type ConversationNews } from './exchange-client.js';
import type { Fetch, FetcherDeps, FetcherOptions, FetchOutcome, FetchProgress, FetchRequest } from './fetch.js';
import { Interest } from './interest.js';
import { PICKER_OPTIONS } from './picker-options.js';

/*
 * One fetch. Flow: candidates are dialled; the first that answers gives the manifest, space is reserved and the picker
 * made; from then on everything that happens (chunks, haves, refusals, ends) is told to the picker and wakes the next
 * turn, and a turn carries out what the picker decides. This class does the I/O and keeps the time; what to ask of whom
 * is decided in chunk-picker.ts, and whom to dial in candidates.ts.
 */

/** How often to ask the index for more holders, in milliseconds: soon at first, then less and less. */
const FIRST_LOCATE_MS = 300;
const MAX_LOCATE_MS = 10_000;
/** The most between two questions while nobody has anything for us. */
const WAITING_LOCATE_MS = 1_000;
/** When nobody has had anything for us for so long, those who wait are told, in milliseconds. */
const TELL_WAITING_MS = 1_000;
/** With proof of damage and nobody else left, there is no use in waiting longer than this, in milliseconds. */
const DAMAGED_PATIENCE_MS = 2_000;
const HOUSEKEEPING_MS = 250;
const PROGRESS_MS = 80;

interface Peer {
  readonly name: string;
  readonly conversation: Conversation;
  readonly openedAtMs: number;
  /** How many of the arrivals it has been told of. */
  arrivalsTold: number;
  hasAnswered: boolean;
  /** It says that chunks of its copy are damaged. */
  isDamaged: boolean;
}

/** See {@link Fetch}. Made and started by the Fetcher. */
export class RunningFetch implements Fetch {
  readonly id: string;
  readonly #deps: FetcherDeps;
  readonly #options: FetcherOptions;
  readonly #onOver: () => void;
  readonly #candidates: Candidates;
  readonly #peers = new Map<string, Peer>();
  readonly #senders = new Set<string>();
  readonly #interest: Interest;
  readonly #opened = new Deferred<StoredFile>();
  readonly #finished = new Deferred<FetchOutcome>();
  readonly #listeners = new Set<(progress: FetchProgress) => void>();
  readonly #writes = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  readonly #startedAtMs: number;
  #request: FetchRequest;
  #file: StoredFile | undefined;
  #picker: ChunkPicker | undefined;
  #isOpening = false;
  #isOver = false;
  #receivedBytes = 0;
  /** A chunk that was missing has come. */
  #hasNew = false;
  #doneBytes = 0;
  #sawDamage = false;
  /** Why a peer that was called last could not be talked to, where its error says what to do. */
  #trouble: ShoalError | undefined;
  #lastUsefulMs: number;
  #lastProgressMs = 0;
  #nextLocateMs: number;
  #locateDelayMs = FIRST_LOCATE_MS;
  #isLocating = false;
  /** The index could not be asked when it was asked last. */
  #isIndexAway = false;
  /** While nothing moved, there was a peer to wait for, or nobody to say that there is none. */
  #mayComeBack = false;
  #timer: NodeJS.Timeout | undefined;
  #isTurnDue = false;
  /** The chunks that are here, in the order in which they came. */
  readonly #arrivals: number[] = [];
  #wanted: readonly number[] = [];

  constructor(deps: FetcherDeps, options: FetcherOptions, request: FetchRequest, onOver: () => void) {
    this.id = request.id;
    this.#deps = deps;
    this.#options = options;
    this.#request = request;
    this.#onOver = onOver;
    this.#candidates = new Candidates(deps.membership.peerName);
    this.#interest = new Interest(() => void this.cancel('nobody wants it any more'));
    this.#startedAtMs = deps.now();
    this.#lastUsefulMs = this.#startedAtMs;
    this.#nextLocateMs = request.holders.length === 0 ? this.#startedAtMs : this.#startedAtMs + FIRST_LOCATE_MS;
    // Whoever waits gets the rejection; when nobody does, it is not lost: the observer counts it.
    this.#opened.promise.catch(() => undefined);
    this.#finished.promise.catch(() => undefined);
  }

  /** Begins. Call once. */
  run(): void {
    for (const holder of this.#request.holders) this.addHolder(holder);
    const known = this.#deps.store.get(this.id);
    if (known !== undefined) void this.#open(known.manifest, []);
    this.#wake();
  }

  /** Somebody else wants the same file, and may know more of it. */
  learn(request: FetchRequest): void {
    this.#request = { ...this.#request, ...request };
    for (const holder of request.holders) this.addHolder(holder);
  }

  addHolder(holder: Holder): void {
    this.#candidates.add(holder, holder.complete);
    this.#wake();
  }

  /** A peer that takes part in this file's swarm, by its name. `isHere` says that it has just called us. */
  meet(peer: string, { isHere }: { readonly isHere: boolean }): void {
    // Only addresses that the index told are dialled, not what others say.
    const known = this.#deps.membership.livePeers.find(({ name }) => name === peer);
    if (known === undefined) return;
    if (isHere) this.#candidates.seen(peer);
    this.addHolder({ peer, address: known.address, complete: false });
  }

  async opened(signal: AbortSignal): Promise<StoredFile> {
    return await this.#interest.during(signal, this.#opened.promise);
  }

  async finished(signal: AbortSignal): Promise<FetchOutcome> {
    return await this.#interest.during(signal, this.#finished.promise);
  }

  onProgress(listener: (progress: FetchProgress) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  prioritise(firstChunk: number, count: number): void {
    this.#wanted = Array.from({ length: count }, (_, i) => firstChunk + i);
    this.#picker?.prioritise(this.#wanted);
    this.#wake();
  }

  hasTold(peer: string, chunk: number): boolean {
    return this.#peers.get(peer)?.conversation.otherHasTold(chunk) ?? false;
  }

  /** Gives up; resolves when nothing more is written. */
  async cancel(why: string): Promise<void> {
    await this.#end(new ShoalError('cancelled', `the fetch of ${this.id} was cancelled: ${why}`));
  }

  // --- Turns --------------------------------------------------------------------------------------------------------

  #wake(): void {
    if (this.#isTurnDue || this.#isOver) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      if (!this.#isOver) this.#turn();
    });
  }

  #turn(): void {
    const nowMs = this.#deps.now();
    this.#dropSilent(nowMs);
    this.#dial(nowMs);
    if (nowMs >= this.#nextLocateMs) void this.#locate();
    this.#carryOut(nowMs);
    this.#checkHope(nowMs);
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), this.#msToNextTurn(nowMs));
  }

  #msToNextTurn(nowMs: number): number {
    const deadlines = [this.#picker?.nextDeadlineMs(), this.#candidates.nextReadyMs(), this.#nextLocateMs];
    const soonest = Math.min(...deadlines.map((deadline) => (deadline ?? Number.POSITIVE_INFINITY) - nowMs));
    // A deadline that has passed without effect must not turn this into a busy loop.
    return soonest <= 0 ? HOUSEKEEPING_MS : Math.min(HOUSEKEEPING_MS, soonest);
  }

  #carryOut(nowMs: number): void {
    for (const decision of this.#picker?.decide(nowMs) ?? []) {
      const chunks = [...decision.chunks];
      const peer = this.#peers.get(decision.neighbour);
      if (peer === undefined) continue;
      if (decision.kind === 'want' && decision.any > 0) this.#tellArrivals(peer);
      peer.conversation.send({ [decision.kind]: { chunks, any: decision.any } });
    }
  }

  /** Only who chooses for us has to know what we have, and only when it does. */
  #tellArrivals(peer: Peer): void {
    const chunks = this.#arrivals.slice(peer.arrivalsTold);
    peer.arrivalsTold = this.#arrivals.length;
    if (chunks.length > 0) peer.conversation.send({ have: { chunks } });
  }

  /** Fails when for too long nobody has had anything for us. */
  #checkHope(nowMs: number): void {
    if (this.#isUseful) {
      this.#lastUsefulMs = nowMs;
      this.#mayComeBack = false;
      return;
    }
    // Once it did, the one that came back is given the rest of the time to answer.
    this.#mayComeBack ||= this.#isIndexAway || (this.#request.away ?? []).length > 0;
    // Our own copy counts too: it is one that somebody may have published here alone.
    const isDamaged = this.#sawDamage || this.#candidates.bannedCount > 0 || this.#file?.isDamaged === true;
    const isNobodyElse = [...this.#peers.values()].every((peer) => peer.isDamaged);
    const patienceMs = isDamaged && isNobodyElse ? DAMAGED_PATIENCE_MS : this.#patienceMs;
    const idleMs = nowMs - this.#lastUsefulMs;
    if (idleMs >= TELL_WAITING_MS) this.#tellProgress(waitingText(this.#lack, patienceMs - idleMs));
    if (idleMs < patienceMs) return;
    void this.#end(
      isDamaged
        ? new ShoalError('corrupt', `every copy of ${this.id} that can be reached is damaged`, {
            hint: 'publish the file again from a good copy with: shoal put FILE',
          })
        : new ShoalError('unavailable', `no live peer has the missing parts of ${this.id}${this.#whyNobody}`, {
            cause: this.#trouble,
            hint: this.#trouble?.hint ?? 'see who holds it with: shoal stat REF, and who is live with: shoal peers',
          }),
    );
  }

  get #isUseful(): boolean {
    return this.#picker === undefined ? this.#isOpening : this.#picker.canProgress;
  }

  /** How long to go on without a source: longer where one may come back. */
  get #patienceMs(): number {
    const { noSourceMs, awayMs } = this.#options;
    return this.#mayComeBack ? Math.max(noSourceMs, awayMs) : noSourceMs;
  }

  get #lack(): string {
    return `no live peer has the missing parts${this.#whyNobody}${this.#isIndexAway ? ', and the index does not answer' : ''}`;
  }

  get #whyNobody(): string {
    const { away = [] } = this.#request;
    const trouble = this.#trouble === undefined ? '' : `; ${this.#trouble.message}`;
    return (away.length === 0 ? '' : `; away, and with all of it: ${away.join(', ')}`) + trouble;
  }

  // --- Finding holders ----------------------------------------------------------------------------------------------

  async #locate(): Promise<void> {
    if (this.#isLocating) return;
    this.#isLocating = true;
    try {
      const located = await this.#deps.locate(this.#request, this.#abort.signal);
      this.#isIndexAway = false;
      this.#request = { ...this.#request, ticket: located.ticket, away: located.away ?? [] };
      for (const holder of located.holders) {
        this.addHolder(holder);
        this.#candidates.expect(holder.peer, this.#deps.now());
      }
    } catch (error) {
      this.#locateFailed(toShoalError(error));
    } finally {
      this.#isLocating = false;
      const mostMs = this.#isUseful ? MAX_LOCATE_MS : WAITING_LOCATE_MS;
      this.#nextLocateMs = this.#deps.now() + Math.min(this.#locateDelayMs, mostMs);
      this.#locateDelayMs = Math.min(MAX_LOCATE_MS, this.#locateDelayMs * 2);
    }
  }

  #locateFailed(error: ShoalError): void {
    if (this.#isOver) return;
    if (error.code === 'not_found' || error.code === 'denied' || error.code === 'unauthenticated') {
      // The index knows better than anybody whether this may still be read.
      void this.#end(error);
      return;
    }
    this.#isIndexAway = true;
    this.#deps.log.debug({ error, file: this.id }, 'the index could not be asked; trying the peers known so far');
    for (const { name, address } of this.#deps.membership.livePeers) {
      this.#candidates.add({ peer: name, address }, false);
    }
    this.#wake();
  }

  #dial(nowMs: number): void {
    const ticket = this.#request.ticket ?? this.#deps.membership.swarmToken;
    if (ticket === undefined) return;
    const room = this.#options.maxNeighbours - this.#peers.size;
    for (const { peer: name, address } of this.#candidates.take(room, nowMs))
      this.#converse(name, address, ticket, nowMs);
  }

  #converse(name: string, address: string, ticket: string, nowMs: number): void {
    const { peerName, address: ownAddress } = this.#deps.membership;
    const conversation = new Conversation(
      {
        peers: this.#deps.peers,
        listener: {
          onOpened: (news) => void this.#answered(name, news),
          onDamaged: () => this.#damaged(name),
          onHave: (chunks) => this.#tellPicker((picker) => picker.has(name, chunks)),
          onBytes: (bytes) => this.#gotBytes(name, bytes),
          onChunk: (chunk, parts) => this.#gotChunk(name, chunk, parts),
          onRefused: (chunks, any) => this.#refused(name, chunks, any),
          onBye: () => this.#dropped(name, undefined),
          onEnd: (error) => this.#dropped(name, error),
        },
      },
      {
        fileId: this.id,
        address,
        ticket,
        self: { peer: peerName, address: ownAddress },
        manifest: this.#file?.manifest,
        have: this.#file?.have.toBytes() ?? Buffer.alloc(0),
      },
    );
    this.#peers.set(name, {
      name,
      conversation,
      openedAtMs: nowMs,
      arrivalsTold: this.#arrivals.length,
      hasAnswered: false,
      isDamaged: false,
    });
  }

  // --- What the others say ------------------------------------------------------------------------------------------

  async #answered(name: string, news: ConversationNews): Promise<void> {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    peer.hasAnswered = true;
    for (const other of news.peers.slice(0, this.#options.maxNeighbours)) this.meet(other, { isHere: false });
    if (news.manifest !== undefined && this.#file === undefined) await this.#open(news.manifest, news.records);
    else if (this.#picker !== undefined) this.#join(peer);
  }

  #join(peer: Peer): void {
    const picker = this.#picker;
    if (picker === undefined || this.#peers.get(peer.name) !== peer) return;
    picker.join(peer.name, peer.conversation.otherHas(), this.#deps.now());
    this.#wake();
  }

  /** Makes room for the file and begins to pick. The first answer wins; those who answered meanwhile join at once. */
  async #open(manifest: Manifest, records: readonly string[]): Promise<void> {
    if (this.#isOpening || this.#isOver) return;
    this.#isOpening = true;
    try {
      const file = await this.#deps.store.begin(manifest);
      await this.#keepRecords(file, records);
      if (this.#isOver) return;
      this.#file = file;
      for (const chunk of file.have) this.#arrivals.push(chunk);
      this.#picker = new ChunkPicker(file.have, {
        ...PICKER_OPTIONS,
        chunkBytes: manifest.chunkBytes,
        random: this.#deps.random,
        maxWindowBytes: this.#options.maxWindowBytes,
      });
      this.#picker.prioritise(this.#wanted);
      this.#doneBytes = heldBytes(file);
      this.#lastUsefulMs = this.#deps.now();
      this.#opened.resolve(file);
      for (const peer of this.#peers.values()) if (peer.hasAnswered) this.#join(peer);
      if (this.#picker.isComplete) await this.#end(undefined);
    } catch (error) {
      await this.#end(toShoalError(error));
    }
  }

  async #keepRecords(file: StoredFile, fromPeer: readonly string[]): Promise<void> {
    const offered = this.#request.record === undefined ? fromPeer : [this.#request.record, ...fromPeer];
    const missing = offered.filter((record) => !file.records.includes(record));
    if (missing.length === 0) return;
    const checked = await this.#deps.checkRecords(this.id, missing);
    if (checked.sha256 === undefined) return;
    await file.setRecords([...file.records, ...checked.records], { sha256: checked.sha256 });
  }

  #gotBytes(name: string, bytes: number): void {
    this.#receivedBytes += bytes;
    this.#senders.add(name);
    this.#deps.observer.receivedBytes(bytes);
    this.#picker?.received(name, bytes, this.#deps.now());
  }

  #gotChunk(name: string, chunk: number, parts: readonly Buffer[]): void {
    this.#deps.peers.keep(parts);
    const write = this.#keep(name, chunk, parts).finally(() => {
      this.#writes.delete(write);
      this.#deps.peers.giveBack(parts);
    });
    this.#writes.add(write);
  }

  async #keep(name: string, chunk: number, parts: readonly Buffer[]): Promise<void> {
    const file = this.#file;
    const picker = this.#picker;
    if (file === undefined || picker === undefined || this.#isOver) return;
    try {
      const isNew = await file.writeChunk(chunk, parts.length === 1 && parts[0] !== undefined ? parts[0] : parts);
      const arrival = picker.arrived(name, chunk);
      this.#deps.observer.chunk(isNew && arrival === 'new' ? 'ok' : 'duplicate');
      this.#candidates.proved(name);
      if (isNew) this.#noteFirst();
      if (isNew) this.#tell(chunk, file.manifest.chunkLength(chunk));
      if (picker.isComplete) void this.#end(undefined);
      else this.#wake();
    } catch (error) {
      const failure = toShoalError(error);
      if (failure.code === 'corrupt') this.#gotWrongBytes(name, chunk);
      // Not awaited: the end waits for all writes, and this is one of them.
      else void this.#end(failure);
    }
  }

  #noteFirst(): void {
    if (this.#hasNew) return;
    this.#hasNew = true;
    this.#deps.observer.firstByte((this.#deps.now() - this.#startedAtMs) / 1000);
  }

  #gotWrongBytes(name: string, chunk: number): void {
    this.#deps.observer.chunk('corrupt');
    this.#deps.log.warn({ peer: name, file: this.id, chunk }, 'a peer sent bytes that do not match their digest');
    this.#deps.report(this.id, name);
    this.#candidates.ban(name);
    this.#hangUp(name);
  }

  /** A peer has found its own copy damaged. It is kept: what it has otherwise is good. */
  #damaged(name: string): void {
    const peer = this.#peers.get(name);
    if (peer !== undefined) peer.isDamaged = true;
    this.#sawDamage = true;
  }

  #refused(name: string, chunks: readonly number[], any: number): void {
    for (let i = 0; i < chunks.length; i += 1) this.#deps.observer.chunk('refused');
    this.#tellPicker((picker) => {
      for (const chunk of chunks) picker.refused(name, chunk);
      if (any > 0) picker.refusedAny(name, any);
    });
  }

  /** The other side ended the conversation, in good order or not. */
  #dropped(name: string, error: ShoalError | undefined, why?: 'silent'): void {
    if (error?.code === 'corrupt') {
      this.#sawDamage = true;
      this.#candidates.ban(name);
      this.#deps.report(this.id, name);
    }
    if (error !== undefined) this.#deps.log.debug({ peer: name, file: this.id, error }, 'a conversation ended');
    // What somebody can do something about, unlike a peer that went away.
    if (error?.hint !== undefined && (error.code === 'unavailable' || error.code === 'denied')) this.#trouble = error;
    this.#hangUp(name, why);
    // Somebody left: others may have come.
    this.#locateDelayMs = FIRST_LOCATE_MS;
    this.#nextLocateMs = Math.min(this.#nextLocateMs, this.#deps.now() + FIRST_LOCATE_MS);
  }

  #dropSilent(nowMs: number): void {
    const { silentMs } = this.#options;
    const unanswered = [...this.#peers.values()].filter((p) => !p.hasAnswered && nowMs - p.openedAtMs >= silentMs);
    const silent = this.#picker?.silent(nowMs, silentMs) ?? [];
    for (const name of [...silent, ...unanswered.map((peer) => peer.name)]) this.#dropped(name, undefined, 'silent');
  }

  #hangUp(name: string, why?: 'silent'): void {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    this.#peers.delete(name);
    this.#candidates.ended(name, this.#deps.now());
    this.#picker?.leave(name);
    peer.conversation.close(why);
    this.#wake();
  }

  #tellPicker(news: (picker: ChunkPicker) => void): void {
    if (this.#picker === undefined) return;
    news(this.#picker);
    this.#wake();
  }

  // --- What we say --------------------------------------------------------------------------------------------------

  /** Notes that a chunk is here. Those who fetch from us are told by the exchanges that serve them. */
  #tell(chunk: number, bytes: number): void {
    this.#doneBytes += bytes;
    this.#arrivals.push(chunk);
    const nowMs = this.#deps.now();
    if (nowMs - this.#lastProgressMs < PROGRESS_MS) return;
    this.#lastProgressMs = nowMs;
    this.#tellProgress();
  }

  #tellProgress(waiting?: string): void {
    const progress = {
      waiting,
      doneBytes: this.#doneBytes,
      totalBytes: this.#file?.manifest.size ?? 0,
      peers: this.#peers.size,
    };
    for (const listener of this.#listeners) listener(progress);
  }

  async #end(failure: ShoalError | undefined): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    for (const { conversation } of this.#peers.values()) conversation.close();
    this.#peers.clear();
    this.#tellProgress();
    this.#listeners.clear();
    this.#onOver();
    this.#deps.observer.ended(failure?.code ?? 'ok', (this.#deps.now() - this.#startedAtMs) / 1000);
    if (failure === undefined && this.#file !== undefined) {
      const outcome = { file: this.#file, receivedBytes: this.#receivedBytes, peers: this.#senders.size };
      this.#finished.resolve(outcome);
    } else {
      const error = failure ?? new ShoalError('internal', 'a fetch ended before it began');
      this.#opened.reject(error);
      this.#finished.reject(error);
      await Promise.allSettled(this.#writes);
    }
  }
}

function heldBytes({ have, manifest }: StoredFile): number {
  let bytes = 0;
  for (const chunk of have) bytes += manifest.chunkLength(chunk);
  return bytes;
}
