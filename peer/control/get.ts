import type { FileHandle } from 'node:fs/promises';
import { ShoalError } from '../../common/errors.js';
import type { GetRequest__Output } from '../../proto/gen/shoal/control/v1/GetRequest.js';
import type { GetResponse } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import type { StoredFile } from '../chunk-store.js';
import type { Retrieved, Retriever } from '../retrieve.js';
import type { Fetch, FetchOutcome } from '../swarm/fetch.js';
import { readThrough } from '../swarm/read-through.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { CallEdge, Caller, EventSink } from './call.js';
import { named } from './files.js';
import type { ControlHandlers } from './handlers.js';
import { openLocalTarget } from './local-path.js';
import { entryOf, fileEntry } from './messages.js';

type Buffers = Pick<BufferPool, 'take' | 'give'>;

/** The call that fetches. */
export function getHandlers(
  edge: CallEdge,
  deps: { readonly retriever: Pick<Retriever, 'retrieve'>; readonly buffers: Buffers },
): Pick<ControlHandlers, 'Get'> {
  return {
    Get: edge.events('Get', async ({ ref, target }: GetRequest__Output, caller, sink: EventSink<GetResponse>) => {
      const local = target === null ? undefined : await openLocalTarget(target);
      try {
        if (local !== undefined && (await local.stat()).size > 0) {
          throw new ShoalError('invalid', `the target ${target?.path} is not empty`);
        }
        const onWaiting = (detail: string) => sink.sendProgress({ progress: { phase: 'PHASE_WAITING', detail } });
        const options = { onBehalf: caller.onBehalf, onWaiting };
        const retrieved = await deps.retriever.retrieve(named(ref), options, caller.signal);
        const to = local === undefined || target === null ? undefined : { handle: local, path: target.path };
        await new Delivery({ retrieved, to, caller, sink, buffers: deps.buffers }).run();
      } finally {
        await local?.close();
      }
    }),
  };
}

/** Brings one retrieved file to the caller: into the target, or as events while it is still fetched. */
class Delivery {
  readonly #retrieved: Retrieved;
  readonly #to: { readonly handle: FileHandle; readonly path: string } | undefined;
  readonly #signal: AbortSignal;
  readonly #sink: EventSink<GetResponse>;
  readonly #buffers: Buffers;

  constructor(parts: {
    readonly retrieved: Retrieved;
    readonly to: { readonly handle: FileHandle; readonly path: string } | undefined;
    readonly caller: Caller;
    readonly sink: EventSink<GetResponse>;
    readonly buffers: Buffers;
  }) {
    this.#retrieved = parts.retrieved;
    this.#to = parts.to;
    this.#signal = parts.caller.signal;
    this.#sink = parts.sink;
    this.#buffers = parts.buffers;
  }

  async run(): Promise<void> {
    const { fetch, file } = this.#retrieved;
    const outcome = fetch === undefined ? await this.#fromHere(file) : await this.#whileFetching(fetch);
    await this.#sink.send({ done: { receivedBytes: outcome.receivedBytes, peers: outcome.peers } });
  }

  async #fromHere(file: StoredFile | undefined): Promise<FetchOutcome> {
    if (file === undefined) throw new ShoalError('internal', 'a file was retrieved that is neither here nor fetched');
    await this.#found(file);
    return (await this.#write(file)) ?? { file, receivedBytes: 0, peers: 0 };
  }

  async #whileFetching(fetch: Fetch): Promise<FetchOutcome> {
    const stopProgress = fetch.onProgress(({ waiting: detail, doneBytes, totalBytes, peers }) => {
      const phase = detail === undefined ? 'PHASE_FETCHING' : 'PHASE_WAITING';
      this.#sink.sendProgress({ progress: { phase, detail: detail ?? '', doneBytes, totalBytes, peers } });
    });
    try {
      const [outcome, unchecked] = await Promise.all([fetch.finished(this.#signal), this.#follow(fetch)]);
      if (this.#to === undefined) return outcome;
      const repaired = await this.#write(outcome.file, { unchecked });
      return { ...outcome, receivedBytes: outcome.receivedBytes + (repaired?.receivedBytes ?? 0) };
    } finally {
      stopProgress();
    }
  }

  /** Resolves to the chunks that were here before: what comes from now on is verified as it comes. */
  async #follow(fetch: Fetch): Promise<readonly number[]> {
    const file = await fetch.opened(this.#signal);
    const unchecked = [...file.have];
    await this.#found(file);
    if (this.#to === undefined) await this.#write(file, { fetch });
    return unchecked;
  }

  async #found(file: StoredFile): Promise<void> {
    const { located } = this.#retrieved;
    const sha256 = located?.file.sha256 ?? file.sha256 ?? '';
    const entry = located === undefined ? entryOf(file) : fileEntry(located.file);
    await this.#sink.send({ found: { file: entry, sha256, streaming: this.#to === undefined } });
  }

  /** Resolves to what it took to get damaged chunks again, when that was told. */
  async #write(
    file: StoredFile,
    { fetch, unchecked }: { readonly fetch?: Fetch; readonly unchecked?: readonly number[] } = {},
  ): Promise<FetchOutcome | undefined> {
    const { refetch } = this.#retrieved;
    if (this.#to !== undefined) {
      const progress = { phase: 'PHASE_WRITING', doneBytes: 0, totalBytes: file.size, peers: 0 } as const;
      // Not one of those that may be left out: it tells that all of the file is here.
      await this.#sink.send({ progress });
      return await this.#copy(file, this.#to, unchecked);
    }
    const range = { offset: 0, length: file.size };
    const buffers = this.#buffers;
    for await (const data of readThrough({ fetch, refetch, buffers }, file, range, this.#signal)) {
      await this.#sink.send({ data }, () => buffers.give(data));
    }
    return undefined;
  }

  /** Chunks that the disk has damaged are fetched again, once. */
  async #copy(
    file: StoredFile,
    to: { readonly handle: FileHandle; readonly path: string },
    unchecked: readonly number[] | undefined,
  ): Promise<FetchOutcome | undefined> {
    try {
      await file.copyTo(to.handle.fd, to.path, unchecked);
      return undefined;
    } catch (error) {
      // Damage that somebody else has found meanwhile shows as a file that is not whole any more.
      if (file.isComplete || this.#signal.aborted) throw error;
      const outcome = await this.#retrieved.refetch().finished(this.#signal);
      await outcome.file.copyTo(to.handle.fd, to.path);
      return outcome;
    }
  }
}
