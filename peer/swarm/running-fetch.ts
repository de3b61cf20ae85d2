import { Deferred } from '../../common/deferred.js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Manifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { Candidates } from './candidates.js';
import { ChunkIntake } from './chunk-intake.js';
import { ChunkPicker } from './chunk-picker.js';
import { Conversations, type ConversationsListener, type Parting } from './conversations.js';
import type { ConversationNews } from './exchange-client.js';
import type { Fetch, FetcherDeps, FetcherOptions, FetchOutcome, FetchProgress, FetchRequest } from './fetch.js';
import { HolderSearch } from './holder-search.js';
import { Interest } from './interest.js';
import { Patience } from './patience.js';
import { PICKER_OPTIONS } from './picker-options.js';
import { ProgressReports } from './progress-reports.js';
import { Turns } from './turns.js';

/*
 * One fetch. Flow: candidates are dialled; the first that answers gives the manifest, space is reserved and the picker
 * made; from then on everything that happens (chunks, haves, refusals, ends) is told to the picker and wakes the next
 * turn, and a turn carries out what the picker decides. This class joins the parts:
 *
 *   holder-search   who may hold the file; asks the index     chunk-picker    what to ask of whom
 *   candidates      whom to dial                              chunk-intake    verifies and keeps what comes
 *   conversations   talks with those who were dialled         patience        how long to go on without a source
 */

/** What there is once the manifest is known. */
interface Assembly {
  readonly file: StoredFile;
  readonly picker: ChunkPicker;
  readonly intake: ChunkIntake;
}

/** See {@link Fetch}. Made and started by the Fetcher. */
export class RunningFetch implements Fetch {
  readonly id: string;
  readonly #deps: FetcherDeps;
  readonly #options: FetcherOptions;
  readonly #onOver: () => void;
  readonly #candidates: Candidates;
  readonly #search: HolderSearch;
  readonly #conversations: Conversations;
  readonly #patience: Patience;
  readonly #interest: Interest;
  readonly #opened = new Deferred<StoredFile>();
  readonly #finished = new Deferred<FetchOutcome>();
  readonly #turns = new Turns(() => this.#turn());
  readonly #progress: ProgressReports;
  readonly #abort = new AbortController();
  readonly #startedAtMs: number;
  #assembly: Assembly | undefined;
  #isOpening = false;
  #isOver = false;
  #wanted: readonly number[] = [];

  constructor(deps: FetcherDeps, options: FetcherOptions, request: FetchRequest, onOver: () => void) {
    const { id } = request;
    const { signal } = this.#abort;
    this.id = id;
    this.#deps = deps;
    this.#options = options;
    this.#onOver = onOver;
    this.#startedAtMs = deps.now();
    const candidates = new Candidates(deps.membership.peerName);
    this.#candidates = candidates;
    const found = { onFound: () => this.#turns.wake(), onForbidden: (error: ShoalError) => void this.#end(error) };
    const hasSource = () => this.#hasSource;
    this.#search = new HolderSearch({ ...deps, candidates, listener: found, hasSource, signal }, request);
    this.#conversations = new Conversations(
      { ...deps, candidates, listener: this.#neighbours() },
      { ...options, fileId: id },
    );
    this.#progress = new ProgressReports(() => this.#conversations.count);
    this.#patience = new Patience({ ...options, fileId: id }, this.#startedAtMs);
    this.#interest = new Interest(() => void this.cancel('nobody wants it any more'));
    // Whoever waits gets the rejection; when nobody does, it is not lost: the observer counts it.
    this.#opened.promise.catch(() => undefined);
    this.#finished.promise.catch(() => undefined);
  }

  /** Begins. Call once. */
  run(): void {
    this.#search.add(this.#search.request.holders);
    const known = this.#deps.store.get(this.id);
    if (known !== undefined) void this.#begin(known.manifest, []);
    this.#turns.wake();
  }

  /** Somebody else wants the same file, and may know more of it. */
  learn(request: FetchRequest): void {
    this.#search.learn(request);
  }

  /** A peer that takes part in this file's swarm has called us. */
  met(peer: string): void {
    this.#search.meet(peer, { isHere: true });
  }

  async opened(signal: AbortSignal): Promise<StoredFile> {
    return await this.#interest.during(signal, this.#opened.promise);
  }

  async finished(signal: AbortSignal): Promise<FetchOutcome> {
    return await this.#interest.during(signal, this.#finished.promise);
  }

  onProgress(listener: (progress: FetchProgress) => void): () => void {
    return this.#progress.add(listener);
  }

  prioritise(firstChunk: number, count: number): void {
    this.#wanted = Array.from({ length: count }, (_, i) => firstChunk + i);
    this.#assembly?.picker.prioritise(this.#wanted);
    this.#turns.wake();
  }

  hasTold(peer: string, chunk: number): boolean {
    return this.#conversations.hasTold(peer, chunk);
  }

  /** Gives up; resolves when nothing more is written. */
  async cancel(why: string): Promise<void> {
    await this.#end(new ShoalError('cancelled', `the fetch of ${this.id} was cancelled: ${why}`));
  }

  // --- Turns --------------------------------------------------------------------------------------------------------

  /** Returns in how many milliseconds something is due by itself. */
  #turn(): number {
    const nowMs = this.#deps.now();
    const picker = this.#assembly?.picker;
    this.#conversations.dropSilent(picker?.silent(nowMs, this.#options.silentMs) ?? [], nowMs);
    const { ticket } = this.#search;
    if (ticket !== undefined) this.#conversations.dial(ticket, nowMs);
    if (nowMs >= this.#search.nextAskMs) void this.#search.ask();
    for (const decision of picker?.decide(nowMs) ?? []) this.#conversations.carryOut(decision);
    this.#checkHope(nowMs);
    const deadlines = [picker?.nextDeadlineMs(), this.#candidates.nextReadyMs(), this.#search.nextAskMs];
    return Math.min(...deadlines.map((deadline) => (deadline ?? Number.POSITIVE_INFINITY) - nowMs));
  }

  /** Fails when for too long nobody has had anything for us. */
  #checkHope(nowMs: number): void {
    if (this.#hasSource) {
      this.#patience.renew(nowMs);
      return;
    }
    const { isIndexAway, away } = this.#search;
    const { sawDamage, isNobodyGood: isNobodyElse, trouble } = this.#conversations;
    // Our own copy counts too: it is one that somebody may have published here alone.
    const isDamaged = sawDamage || this.#assembly?.file.isDamaged === true;
    const { waiting, failure } = this.#patience.judge({ isIndexAway, away, isDamaged, isNobodyElse, trouble }, nowMs);
    if (waiting !== undefined) this.#progress.wait(waiting);
    if (failure !== undefined) void this.#end(failure);
  }

  /** Whether somebody has something for us now. */
  get #hasSource(): boolean {
    return this.#assembly === undefined ? this.#isOpening : this.#assembly.picker.canProgress;
  }

  // --- What the others say ------------------------------------------------------------------------------------------

  #neighbours(): ConversationsListener {
    return {
      onAnswered: (name, news) => this.#answered(name, news),
      onHave: (name, chunks) => this.#tellPicker((picker) => picker.has(name, chunks)),
      onBytes: (name, bytes) => {
        this.#deps.observer.receivedBytes(bytes);
        this.#assembly?.picker.received(name, bytes, this.#deps.now());
      },
      onChunk: (name, chunk, parts) => this.#gotChunk(name, chunk, parts),
      onRefused: (name, chunks, any) => this.#refused(name, chunks, any),
      onLeft: (name, parting) => this.#left(name, parting),
    };
  }

  #answered(name: string, { peers, manifest, records }: ConversationNews): void {
    for (const other of peers.slice(0, this.#options.maxNeighbours)) this.#search.meet(other, { isHere: false });
    if (this.#assembly !== undefined) this.#join(name, this.#assembly.picker);
    else if (manifest !== undefined) void this.#begin(manifest, records);
  }

  #join(name: string, picker: ChunkPicker): void {
    const have = this.#conversations.otherHas(name);
    if (have === undefined) return;
    picker.join(name, have, this.#deps.now());
    this.#turns.wake();
  }

  #gotChunk(name: string, chunk: number, parts: readonly Buffer[]): void {
    if (this.#assembly !== undefined) {
      this.#assembly.intake.take(name, chunk, parts);
      return;
    }
    // Nobody has asked for it: nothing can be done with it but to give its memory back.
    this.#deps.exchanges.keep(parts);
    this.#deps.exchanges.giveBack(parts);
  }

  #refused(name: string, chunks: readonly number[], any: number): void {
    for (let i = 0; i < chunks.length; i += 1) this.#deps.observer.chunk('refused');
    this.#tellPicker((picker) => {
      for (const chunk of chunks) picker.refused(name, chunk);
      if (any > 0) picker.refusedAny(name, any);
    });
  }

  #left(name: string, parting: Parting): void {
    this.#assembly?.picker.leave(name);
    if (parting !== 'expelled') this.#search.hurry(this.#deps.now());
    this.#turns.wake();
  }

  #tellPicker(news: (picker: ChunkPicker) => void): void {
    if (this.#assembly === undefined) return;
    news(this.#assembly.picker);
    this.#turns.wake();
  }

  // --- From the manifest to the end ---------------------------------------------------------------------------------

  /** Makes room for the file and begins to pick. The first answer wins; those who answered meanwhile join at once. */
  async #begin(manifest: Manifest, records: readonly string[]): Promise<void> {
    if (this.#isOpening || this.#isOver) return;
    this.#isOpening = true;
    try {
      const file = await this.#deps.store.begin(manifest);
      await this.#keepRecords(file, records);
      if (this.#isOver) return;
      const picker = this.#newPicker(file);
      picker.prioritise(this.#wanted);
      this.#assembly = { file, picker, intake: this.#newIntake(file, picker) };
      this.#conversations.begin(file);
      this.#progress.begin(heldBytes(file), file.size);
      this.#patience.renew(this.#deps.now());
      this.#opened.resolve(file);
      for (const name of this.#conversations.answered) this.#join(name, picker);
      if (picker.isComplete) await this.#end(undefined);
    } catch (error) {
      await this.#end(toShoalError(error));
    }
  }

  async #keepRecords(file: StoredFile, fromPeer: readonly string[]): Promise<void> {
    const { record } = this.#search.request;
    const offered = record === undefined ? fromPeer : [record, ...fromPeer];
    const missing = offered.filter((other) => !file.records.includes(other));
    if (missing.length === 0) return;
    const checked = await this.#deps.checkRecords(this.id, missing);
    if (checked.sha256 === undefined) return;
    await file.setRecords([...file.records, ...checked.records], { sha256: checked.sha256 });
  }

  #newPicker(file: StoredFile): ChunkPicker {
    return new ChunkPicker(file.have, {
      ...PICKER_OPTIONS,
      chunkBytes: file.manifest.chunkBytes,
      random: this.#deps.random,
      maxWindowBytes: this.#options.maxWindowBytes,
    });
  }

  #newIntake(file: StoredFile, picker: ChunkPicker): ChunkIntake {
    const listener = {
      onKept: (name: string, chunk: number, isNew: boolean) => {
        this.#candidates.proved(name);
        if (isNew) {
          this.#conversations.noteArrival(chunk);
          this.#progress.got(file.manifest.chunkLength(chunk), this.#deps.now());
        }
        if (picker.isComplete) void this.#end(undefined);
        else this.#turns.wake();
      },
      onWrong: (name: string, chunk: number) => {
        this.#deps.log.warn({ peer: name, file: this.id, chunk }, 'a peer sent bytes that do not match their digest');
        this.#conversations.expel(name);
      },
      // Not awaited: the end waits for all that is written, and this is part of it.
      onFailed: (error: ShoalError) => void this.#end(error),
    };
    const { signal } = this.#abort;
    return new ChunkIntake({ ...this.#deps, file, picker, listener, signal }, { startedAtMs: this.#startedAtMs });
  }

  async #end(failure: ShoalError | undefined): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#turns.stop();
    this.#abort.abort();
    this.#conversations.close();
    this.#progress.end();
    this.#onOver();
    this.#deps.observer.ended(failure?.code ?? 'ok', (this.#deps.now() - this.#startedAtMs) / 1000);
    if (failure === undefined && this.#assembly !== undefined) {
      const { receivedBytes, senderCount: peers } = this.#conversations;
      this.#finished.resolve({ file: this.#assembly.file, receivedBytes, peers });
    } else {
      const error = failure ?? new ShoalError('internal', 'a fetch ended before it began');
      this.#opened.reject(error);
      this.#finished.reject(error);
      await this.#assembly?.intake.settled();
    }
  }
}

function heldBytes({ have, manifest }: StoredFile): number {
  let bytes = 0;
  for (const chunk of have) bytes += manifest.chunkLength(chunk);
  return bytes;
}
