import { ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import { nameProblem } from '../common/names.js';
import { type PublishBody, type Published, publishBodySchema } from '../index-server/api/files.js';
import { LIMITS } from '../index-server/api/values.js';
import type { IndexClient } from '../index-server/client.js';
import { neverAborted, unlessAborted } from './abort.js';
import { CallBatches } from './call-batches.js';
import type { ChunkStore, IngestSource, StoredFile } from './chunk-store.js';
import { Copies, type CopiesDeps } from './copies.js';
import type { IndexWait, WaitListener } from './index-wait.js';
import type { Membership } from './membership.js';
import { claimsOf, mergeRecord } from './records.js';
import type { Removals } from './removals.js';
import type { WorkGate } from './work-gate.js';

/*
 * Publishing: read once and store, only when that is durable tell the index, keep the record that it signed, then have
 * other peers pull copies until there are as many as were asked for. A file that the index refused is not kept.
 */

/** Files below this size are read before the caller's rights are known: asking first would take longer than reading. */
const ASK_FIRST_BYTES = 1024 * 1024;
/** With two calls at once the index works on one while the answer to the other is on its way. */
const PUBLISH_BATCHES = { callsAtOnce: 2, questionsAtOnce: LIMITS.publishes, keyOf: (body: PublishBody) => body };

/** See the body of a publish in the index's contract. */
export type PublishCondition = Pick<PublishBody, 'ifMatch' | 'ifNoneMatch'>;

/** How to publish. */
export interface PublishOptions {
  readonly name: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly visibility?: 'public' | 'private';
  readonly readers?: readonly string[];
  /** Copies; the daemon's default when it is not given. */
  readonly replicas?: number | undefined;
  /** Session or publish ticket of the user to publish for; the peer's own account when it is not given. */
  readonly onBehalf?: string | undefined;
  /** What the current version of the name must be, or must not be: checked when this one takes its place. */
  readonly condition?: PublishCondition | undefined;
  /** SHA-256 in lower-case hex that the content must have, when the caller knows it. */
  readonly sha256?: string | undefined;
  /** Whether to wait for the copies. If not, they are made all the same. */
  readonly wait: boolean;
}

/** How far a publish is. While `replicating`, bytes are counted in whole copies. */
export interface PublishProgress {
  readonly phase: 'storing' | 'replicating' | 'waiting';
  /** Why it waits. */
  readonly detail?: string;
  readonly doneBytes: number;
  /** 0 when it is not known. */
  readonly totalBytes: number;
  /** Complete copies by now. */
  readonly copies: number;
}

/** A file that is published and durable here. */
export interface PublishOutcome {
  readonly published: Published;
  readonly sha256: string;
  /** Complete copies, this one included, when the publish ended. Fewer than wanted if no live peer could take more. */
  readonly copies: number;
}

/** What a {@link Publisher} works with. */
export interface PublisherDeps {
  readonly store: Pick<ChunkStore, 'ingest' | 'get'>;
  readonly index: Pick<IndexClient, 'publish' | 'publishMany' | 'locate' | 'account'>;
  readonly membership: CopiesDeps['membership'] & Pick<Membership, 'auth'>;
  readonly peers: CopiesDeps['peers'];
  readonly removals: Pick<Removals, 'protect' | 'remove'>;
  readonly wait: Pick<IndexWait, 'run'>;
  readonly gate: Pick<WorkGate, 'check'>;
  /** Told when a file has got its record and may be announced. */
  readonly announcer: { changed(id: string): void };
  readonly log: Logger;
  readonly now: () => number;
}

/** Publishes files on behalf of users. */
export class Publisher {
  readonly #deps: PublisherDeps;
  readonly #defaultReplicas: number;
  readonly #batches: CallBatches<PublishBody, Published>;
  readonly #copies: Copies;
  readonly #stopped = new AbortController();
  readonly #background = new Set<Promise<unknown>>();
  /** Files of which nobody knows whether the index took them, with the user to ask for. */
  readonly #unsettled = new Map<string, string | undefined>();

  constructor(deps: PublisherDeps, options: { readonly defaultReplicas: number }) {
    const { index, membership } = deps;
    this.#deps = deps;
    this.#defaultReplicas = options.defaultReplicas;
    this.#copies = new Copies(deps);
    this.#batches = new CallBatches(
      { ask: async (bodies, onBehalf) => index.publishMany(membership.auth(onBehalf), bodies, neverAborted()) },
      PUBLISH_BATCHES,
    );
  }

  /**
   * Stores and publishes. Bad options are `invalid`, and a peer that drains, a missing right or an index that stays away is told, before a
   * large source is read. When `signal` fires nothing is published, unless it already is.
   */
  async publish(
    source: IngestSource,
    options: PublishOptions,
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress?: (progress: PublishProgress) => void },
  ): Promise<PublishOutcome> {
    const wanted = checkOptions(options, this.#defaultReplicas);
    this.#deps.gate.check();
    const { index, membership, wait } = this.#deps;
    const { onBehalf } = options;
    const onWaiting = (detail: string) =>
      onProgress?.({ phase: 'waiting', detail, doneBytes: 0, totalBytes: 0, copies: 0 });
    const size = knownSize(source);
    if (size === undefined || size >= ASK_FIRST_BYTES) {
      await wait.run(() => index.account(membership.auth(onBehalf), signal), { onWaiting }, signal);
    }
    let release = () => {};
    const ingesting = this.#deps.store.ingest(source, {
      signal,
      onProgress: (doneBytes, totalBytes) =>
        onProgress?.({ phase: 'storing', doneBytes, totalBytes: totalBytes || (size ?? 0), copies: 0 }),
      onKept: (id) => {
        release = this.#deps.removals.protect(id);
      },
    });
    const stored = await ingesting.catch((error: unknown) => {
      release();
      throw error;
    });
    const { file, sha256 } = stored;
    const published = await this.#register(stored, wanted, { ...options, signal, onWaiting, release });
    const copies = this.#copy(file, published, { onBehalf, wait: options.wait, signal, onProgress });
    return { published, sha256, copies: await copies };
  }

  /** Finds out what became of publishes that got no answer; to be called when the index answers again. */
  settle(): void {
    for (const [id, onBehalf] of this.#unsettled) {
      this.#unsettled.delete(id);
      this.#inBackground(this.#settleOne(id, onBehalf));
    }
  }

  /** Ends what runs in the background. Publishes that somebody waits for end by their own signal. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#background);
  }

  /** Publishes at the index and keeps the record, or leaves nothing behind. */
  async #register(
    { file, sha256, isNew }: { readonly file: StoredFile; readonly sha256: string; readonly isNew: boolean },
    wanted: Wanted,
    how: Pick<PublishOptions, 'onBehalf' | 'sha256' | 'condition'> &
      WaitListener & {
        readonly signal: AbortSignal;
        /** Lets the file be removed again. */
        readonly release: () => void;
      },
  ): Promise<Published> {
    const { id, size, manifest } = file;
    const { index, membership, wait } = this.#deps;
    const { onBehalf, signal, release, condition } = how;
    const content = { id, size, sha256, chunkSize: manifest.chunkBytes, chunks: manifest.chunkCount };
    const body = { ...content, ...wanted };
    try {
      checkDigest(body, how.sha256);
      // A condition may have come true by what was asked for, and cannot be asked twice.
      const published =
        condition === undefined
          ? await wait.run(() => unlessAborted(this.#batches.get(body, onBehalf), signal), how, signal)
          : await index.publish(membership.auth(onBehalf), { ...body, ...condition }, signal);
      await file.setRecords(mergeRecord(file.records, published.record), { sha256 });
      this.#deps.announcer.changed(id);
      return published;
    } catch (thrown) {
      const error = toShoalError(thrown);
      release();
      if (isNew) await this.#undo(id, error, onBehalf);
      throw error;
    } finally {
      release();
    }
  }

  async #undo(id: string, error: ShoalError, onBehalf: string | undefined): Promise<void> {
    const isUnsure = ['unavailable', 'timeout', 'cancelled', 'internal'].includes(error.code);
    if (isUnsure) this.#unsettled.set(id, onBehalf);
    else await this.#removeUnpublished(id);
  }

  async #settleOne(id: string, onBehalf: string | undefined): Promise<void> {
    const { store, index, membership, log } = this.#deps;
    const file = store.get(id);
    if (file === undefined || file.records.length > 0) return;
    try {
      const { record } = await index.locate(membership.auth(onBehalf), { ref: id }, this.#stopped.signal);
      await file.setRecords(mergeRecord(file.records, record), { sha256: claimsOf(record).sha256 });
      this.#deps.announcer.changed(id);
    } catch (thrown) {
      const error = toShoalError(thrown);
      if (error.code === 'not_found' || error.code === 'unauthenticated') await this.#removeUnpublished(id);
      else if (!this.#stopped.signal.aborted) {
        this.#unsettled.set(id, onBehalf);
        log.debug({ id, error }, 'still not known whether a file was published');
      }
    }
  }

  async #removeUnpublished(id: string): Promise<void> {
    if (this.#deps.store.get(id)?.records.length === 0) await this.#deps.removals.remove(id, this.#deps.now() + 1);
  }

  /** Has copies made; resolves to how many there are, at once when nobody waits for them. */
  async #copy(
    file: StoredFile,
    published: Published,
    how: {
      readonly onBehalf: string | undefined;
      readonly wait: boolean;
      readonly signal: AbortSignal;
      readonly onProgress: ((progress: PublishProgress) => void) | undefined;
    },
  ): Promise<number> {
    const stopped = this.#stopped.signal;
    const copying = this.#copies.make(
      { file, published },
      {
        onBehalf: how.onBehalf,
        signal: how.wait ? AbortSignal.any([how.signal, stopped]) : stopped,
        onCopies: (copies, wanted) =>
          how.onProgress?.({
            phase: 'replicating',
            doneBytes: (copies - 1) * file.size,
            totalBytes: (wanted - 1) * file.size,
            copies,
          }),
      },
    );
    if (how.wait) return copying;
    this.#inBackground(copying);
    return 1;
  }

  #inBackground(work: Promise<unknown>): void {
    const settled = work.catch((error: unknown) => {
      if (!this.#stopped.signal.aborted) {
        this.#deps.log.warn({ error: toShoalError(error) }, 'what a publish left to do failed');
      }
    });
    this.#background.add(settled);
    void settled.finally(() => this.#background.delete(settled));
  }
}

/** Of a file that is named the store finds it out. */
function knownSize(source: IngestSource): number | undefined {
  if ('bytes' in source) return source.bytes.length;
  return 'stream' in source ? source.size : undefined;
}

function checkDigest({ name, sha256 }: Pick<PublishBody, 'name' | 'sha256'>, expected: string | undefined): void {
  if (expected === undefined || expected === sha256) return;
  throw new ShoalError('invalid', `'${name}' has SHA-256 ${sha256}, not ${expected}`, {
    hint: 'it changed on its way, or the digest is of something else: send it again',
  });
}

type Wanted = Pick<PublishBody, 'name' | 'tags' | 'visibility' | 'readers' | 'replicas'>;

const wantedSchema = publishBodySchema.pick({
  name: true,
  tags: true,
  visibility: true,
  readers: true,
  replicas: true,
});

/** The options as the index takes them; throws `invalid` that names what is wrong. */
function checkOptions(options: PublishOptions, defaultReplicas: number): Wanted {
  const problem = nameProblem(options.name);
  if (problem !== undefined) {
    throw new ShoalError('invalid', `the name '${options.name.slice(0, 100)}' ${problem}`, {
      hint: 'choose another name with --as NAME',
    });
  }
  const { name, tags, visibility, readers, replicas = defaultReplicas } = options;
  const parsed = wantedSchema.safeParse({ name, tags, visibility, readers, replicas });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ShoalError('invalid', `${issue?.path.join('.')} ${issue?.message}`, { cause: parsed.error });
}
