import { setImmediate as turn } from 'node:timers/promises';
import { toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import { type AnnounceBody, type Announced, recordsRevision } from '../index-server/api/peers.js';
import { LIMITS } from '../index-server/api/values.js';
import type { IndexClient } from '../index-server/client.js';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { indexResult, type Membership } from './membership.js';
import type { PeerMetrics } from './metrics.js';
import type { Removals } from './removals.js';

/*
 * Keeps the index truthful about what this peer holds. Changes are only noted as "this id changed"; what is said of it
 * is looked up when it is said, so no order of events can make it wrong. After a join everything is announced, in
 * pages; what changes meanwhile is announced after that. One call at a time.
 */

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;
/** Records sent in one call: well below the index's limit of a body. */
const RESTORE_BYTES = LIMITS.bodyBytes / 2;
/** Files that are looked at before others have their turn. */
const FILES_IN_TURN = 50;

type Holding = AnnounceBody['held'][number];

/** What an {@link Announcer} works with. */
export interface AnnouncerDeps {
  readonly store: Pick<ChunkStore, 'list' | 'get' | 'onChange'>;
  readonly index: Pick<IndexClient, 'announce' | 'restore'>;
  readonly membership: Pick<Membership, 'auth' | 'peerName' | 'incarnation'>;
  readonly removals: Pick<Removals, 'remove'>;
  /** Keeps the proofs that files were removed. */
  readonly tombstones: { keepFor<T>(records: readonly string[], removal: () => Promise<T>): Promise<T> };
  readonly metrics: PeerMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

/** How often to announce. */
export interface AnnouncerOptions {
  /** How long changes are gathered before they are announced. */
  readonly gatherMs: number;
}

/** Tells the index what the store holds, from {@link start} until {@link stop}. */
export class Announcer {
  readonly #deps: AnnouncerDeps;
  readonly #options: AnnouncerOptions;
  readonly #stopped = new AbortController();
  readonly #changed = new Set<string>();
  #mustTellAll = false;
  #toldAllAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failures = 0;
  #unsubscribe: (() => void) | undefined;
  readonly #listeners: (() => void)[] = [];

  constructor(deps: AnnouncerDeps, options: AnnouncerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Begins to listen to the store. Nothing is said before {@link announceAll}, which a join brings. */
  start(): void {
    this.#unsubscribe ??= this.#deps.store.onChange(({ id }) => this.changed(id));
  }

  /** Calls `listener` whenever the index has been told of changes. */
  onAnnounced(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Notes that what is held of a file, or whether it may be announced, is not what it was. */
  changed(id: string): void {
    this.#changed.add(id);
    this.#schedule(this.#options.gatherMs);
  }

  /** Announces everything, now; not if that was done since `askedAtMs`, when the index was asked who wants it so. */
  announceAll(askedAtMs = Number.POSITIVE_INFINITY): void {
    if (this.#toldAllAtMs >= askedAtMs) return;
    this.#mustTellAll = true;
    this.#failures = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule(0);
  }

  /** Ends at once; a call under way is cancelled. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(waitMs: number): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        if (this.#mustTellAll || this.#changed.size > 0) this.#schedule(this.#waitMs());
      });
    }, waitMs);
  }

  #waitMs(): number {
    if (this.#failures === 0) return this.#options.gatherMs;
    return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 10));
  }

  async #run(): Promise<void> {
    const kind = this.#mustTellAll ? 'full' : 'changes';
    try {
      if (this.#mustTellAll) await this.#tellAll();
      else await this.#tellChanges();
      this.#failures = 0;
      this.#deps.metrics.announces.inc({ kind, result: 'ok' });
      for (const listener of this.#listeners) listener();
    } catch (thrown) {
      const error = toShoalError(thrown);
      if (this.#stopped.signal.aborted) return;
      this.#deps.metrics.announces.inc({ kind, result: indexResult(error) });
      // Membership tells of an index that is away; what is wrong only here is told here, once.
      if (this.#failures++ === 0) this.#deps.log.debug({ error, kind }, 'could not announce; trying again');
    }
  }

  async #tellAll(): Promise<void> {
    // What changes from here on is said again afterwards.
    this.#changed.clear();
    const files = this.#deps.store.list();
    const pages = Math.max(1, Math.ceil(files.length / LIMITS.announce));
    let mark: string | undefined;
    for (let page = 0; page < pages; page++) {
      const held = await this.#holdingsOf(files.slice(page * LIMITS.announce, (page + 1) * LIMITS.announce));
      const answer = await this.#tell({ held, ...fullness(page, pages, mark) });
      mark ??= answer.mark;
    }
    this.#mustTellAll = false;
    this.#toldAllAtMs = this.#deps.now();
  }

  async #tellChanges(): Promise<void> {
    const ids = [...this.#changed].slice(0, LIMITS.announce);
    for (const id of ids) this.#changed.delete(id);
    const held: StoredFile[] = [];
    const dropped: string[] = [];
    for (const id of ids) {
      const file = this.#deps.store.get(id);
      if (file === undefined) dropped.push(id);
      else held.push(file);
    }
    try {
      const holdings = await this.#holdingsOf(held);
      if (holdings.length + dropped.length > 0) await this.#tell({ held: holdings, dropped });
    } catch (error) {
      for (const id of ids) this.#changed.add(id);
      throw error;
    }
  }

  /** What is said of these files; what cannot be read now is left out. */
  async #holdingsOf(files: readonly StoredFile[]): Promise<Holding[]> {
    const holdings: Holding[] = [];
    for (const [at, file] of files.entries()) {
      // Records may have to be read from the disk: others have their turn in between.
      if (at % FILES_IN_TURN === FILES_IN_TURN - 1) await turn();
      try {
        const holding = holdingOf(file);
        if (holding !== undefined) holdings.push(holding);
      } catch (error) {
        // Removed meanwhile, in most cases; that is told next.
        this.#deps.log.debug({ error, id: file.id }, 'a file is not announced: what is noted about it cannot be read');
      }
    }
    return holdings;
  }

  async #tell(what: Omit<AnnounceBody, 'incarnation'>): Promise<Announced> {
    const { index, membership, now } = this.#deps;
    const askedAtMs = now();
    const body = { incarnation: membership.incarnation, ...what };
    const answer = await index.announce(membership.auth(), membership.peerName, body, this.#stopped.signal);
    await this.#obey(answer, askedAtMs);
    return answer;
  }

  async #obey(answer: Announced, askedAtMs: number): Promise<void> {
    const records = answer.unknown.flatMap((id) => this.#deps.store.get(id)?.records ?? []);
    for (const page of pagesOf(records)) {
      const { membership, index, log } = this.#deps;
      const result = await index.restore(membership.auth(), membership.peerName, page, this.#stopped.signal);
      log.info({ ...result }, 'sent records that the index had lost');
    }
    const { tombstones, removals } = this.#deps;
    await tombstones.keepFor(answer.tombstones ?? [], async () => {
      for (const id of answer.removed) await removals.remove(id, askedAtMs);
    });
  }
}

function fullness(page: number, pages: number, mark: string | undefined): Pick<AnnounceBody, 'full' | 'mark'> {
  if (pages === 1) return { full: 'only' };
  if (page === 0) return { full: 'begin' };
  if (page < pages - 1) return {};
  return mark === undefined ? { full: 'end' } : { full: 'end', mark };
}

/** A whole file without a record is one that is being published: the index learns of it by that. */
function holdingOf({ id, isComplete: complete, records }: StoredFile): Holding | undefined {
  if (records.length === 0) return complete ? undefined : { id, complete };
  return { id, complete, revision: recordsRevision(records) };
}

/** Cuts records into pages that the index takes, by number and by bytes. */
export function pagesOf(records: readonly string[]): string[][] {
  const pages: string[][] = [];
  let page: string[] = [];
  let bytes = 0;
  for (const record of records) {
    if (page.length === LIMITS.announce || (page.length > 0 && bytes + record.length > RESTORE_BYTES)) {
      pages.push(page);
      page = [];
      bytes = 0;
    }
    page.push(record);
    bytes += record.length;
  }
  if (page.length > 0) pages.push(page);
  return pages;
}
