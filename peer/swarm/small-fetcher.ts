import type { Holder } from '../../index-server/api/files.js';
import type { DownloadedFile__Output } from '../../proto/gen/shoal/peer/v1/DownloadedFile.js';
import { neverAborted } from '../abort.js';
import type { IngestOptions, IngestSource } from '../chunk-store.js';
import { manifestOf } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import type { FetchObserver, FetchOutcome } from './fetch.js';
import type { RemotePeers } from './remote-peer.js';

/*
 * Fetches of small files. Each is asked of one peer that has all of it, together with others that are asked of the same
 * peer: the one with the shortest queue, so that whoever has become a holder takes load off the first. What a peer does not
 * give, or gives wrong, is asked of the next one; when none is left, an ordinary fetch finds out what can be done.
 */

/** Calls to one peer at once: while one is answered, the next is on its way. */
const CALLS_AT_ONCE = 2;
const FILES_IN_CALL = 32;

/** A small file that is not here, and who has it. */
export interface SmallFetch {
  readonly id: string;
  readonly size: number;
  /** A read ticket; empty for a public file, which the peers' own token suffices for. */
  readonly ticket: string;
  readonly record: string;
  readonly holders: readonly Holder[];
  /** An ordinary fetch of it. */
  readonly otherwise: () => Promise<FetchOutcome>;
}

/** What a {@link SmallFetcher} works with. */
export interface SmallFetcherDeps {
  readonly store: {
    ingest(source: IngestSource, options: IngestOptions): Promise<{ readonly file: StoredFile }>;
  };
  readonly peers: Pick<RemotePeers, 'downloadMany'>;
  readonly membership: { readonly swarmToken: string | undefined };
  /** Which of these records are signed by the index and of this file. */
  readonly checkRecords: (id: string, records: readonly string[]) => Promise<{ readonly records: readonly string[] }>;
  /** Tells the index that a peer sent bytes that are not those of the file. */
  readonly report: (id: string, peer: string) => void;
  readonly observer: Pick<FetchObserver, 'receivedBytes' | 'chunk' | 'firstByte' | 'ended'>;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** What came of it: the bytes are there unless an ordinary fetch brought them. */
export interface SmallFetchOutcome extends FetchOutcome {
  readonly bytes?: Buffer;
}

interface Item {
  readonly fetch: SmallFetch;
  /** Settled by whoever has the item last. */
  readonly settle: (data: Buffer | undefined) => void;
}

/** What is asked of one peer. */
interface Queue {
  readonly address: string;
  /** Bytes that it is asked for and has not sent. */
  outstandingBytes: number;
  calls: number;
  waiting: Item[];
}

/** See the head of this file. */
export class SmallFetcher {
  readonly #deps: SmallFetcherDeps;
  readonly #silentMs: number;
  readonly #running = new Map<string, Promise<SmallFetchOutcome>>();
  readonly #queues = new Map<string, Queue>();

  /** A peer that owes us files and has sent none for `silentMs` is given up. */
  constructor(deps: SmallFetcherDeps, options: { readonly silentMs: number }) {
    this.#deps = deps;
    this.#silentMs = options.silentMs;
  }

  /** Fetches a file and keeps it; all who ask at the same time share that. Throws as an ordinary fetch does. */
  fetch(wanted: SmallFetch): Promise<SmallFetchOutcome> {
    let running = this.#running.get(wanted.id);
    if (running === undefined) {
      running = this.#fetch(wanted).finally(() => this.#running.delete(wanted.id));
      this.#running.set(wanted.id, running);
    }
    return running;
  }

  async #fetch(wanted: SmallFetch): Promise<SmallFetchOutcome> {
    const { now, observer } = this.#deps;
    const beganMs = now();
    const left = wanted.holders.filter(({ complete }) => complete);
    for (let holder = this.#takeIdlest(left); holder !== undefined; holder = this.#takeIdlest(left)) {
      const data = await this.#ask(holder.address, wanted);
      if (data === undefined) continue;
      observer.receivedBytes(data.length);
      const manifest = manifestOf(data);
      const isGood = manifest.id === wanted.id;
      for (let i = 0; i < manifest.chunkCount; i += 1) observer.chunk(isGood ? 'ok' : 'corrupt');
      if (!isGood) {
        this.#deps.report(wanted.id, holder.peer);
        continue;
      }
      observer.firstByte((now() - beganMs) / 1000);
      const file = await this.#keep(wanted, data);
      observer.ended('ok', (now() - beganMs) / 1000);
      return { file, receivedBytes: data.length, peers: 1, bytes: data };
    }
    return wanted.otherwise();
  }

  async #keep({ id, record }: SmallFetch, bytes: Buffer): Promise<StoredFile> {
    const { records } = await this.#deps.checkRecords(id, [record]);
    const how = { signal: neverAborted(), onProgress: () => {}, records, isDurable: false };
    const { file } = await this.#deps.store.ingest({ bytes }, how);
    return file;
  }

  /** The holder with the least to send, by chance one of several; it is taken out of `left`. */
  #takeIdlest(left: Holder[]): Holder | undefined {
    const load = ({ address }: Holder) => this.#queues.get(address)?.outstandingBytes ?? 0;
    const least = Math.min(...left.map(load));
    const idlest = left.filter((holder) => load(holder) === least);
    const chosen = idlest[Math.floor(this.#deps.random() * idlest.length)];
    if (chosen !== undefined) left.splice(left.indexOf(chosen), 1);
    return chosen;
  }

  /** Resolves to the file's bytes as that peer gives them, undefined when it does not. */
  #ask(address: string, fetch: SmallFetch): Promise<Buffer | undefined> {
    const queue = this.#queues.get(address) ?? { address, outstandingBytes: 0, calls: 0, waiting: [] };
    this.#queues.set(address, queue);
    queue.outstandingBytes += fetch.size;
    return new Promise((resolve) => {
      const settle = (data: Buffer | undefined) => {
        queue.outstandingBytes -= fetch.size;
        resolve(data);
      };
      queue.waiting.push({ fetch, settle });
      if (queue.waiting.length === 1) setImmediate(() => this.#send(queue));
    });
  }

  #send(queue: Queue): void {
    while (queue.waiting.length > 0 && queue.calls < CALLS_AT_ONCE) {
      const items = queue.waiting.splice(0, FILES_IN_CALL);
      queue.calls += 1;
      void this.#call(queue, items).finally(() => {
        queue.calls -= 1;
        this.#send(queue);
        if (queue.calls === 0 && queue.waiting.length === 0) this.#queues.delete(queue.address);
      });
    }
  }

  async #call({ address }: Queue, items: readonly Item[]): Promise<void> {
    const unanswered = new Map(items.map((item) => [item.fetch.id, item]));
    const onFile = ({ fileId, data, code }: DownloadedFile__Output) => {
      const item = unanswered.get(fileId);
      if (item === undefined) return;
      unanswered.delete(fileId);
      item.settle(code === '' ? data : undefined);
    };
    const files = items.map(({ fetch: { id, ticket } }) => ({ fileId: id, ticket }));
    const ticket = this.#deps.membership.swarmToken ?? '';
    try {
      await this.#deps.peers.downloadMany(address, { ticket, files, silentMs: this.#silentMs }, onFile);
    } catch {
      // Whatever is the matter with it: others are asked, and if there are none, an ordinary fetch will tell.
    }
    for (const item of unanswered.values()) item.settle(undefined);
  }
}
