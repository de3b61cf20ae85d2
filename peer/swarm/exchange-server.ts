import { ShoalError, toShoalError } from '../../common/errors.js';
import type { ExchangeRequest__Output } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import type { Open__Output } from '../../proto/gen/shoal/peer/v1/Open.js';
import { ChunkSet } from '../chunk-set.js';
import type { StoredFile } from '../stored-file.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import { finishChunkFrame, newChunkFrame } from './chunk-codec.js';
import type { AnswerStream } from './exchange-stream.js';
import { SendQueue, type SentChunks } from './send-queue.js';

/** The largest piece of a manifest in one message. */
const MAX_PART_BYTES = 1024 * 1024;
/** The largest piece of a chunk: two of them for each receiver are in memory at any time. */
const CHUNK_PART_BYTES = 256 * 1024;

/** Chunks verified within this time are told in one message, in milliseconds: that of two chunks within these bounds. */
const LEAST_HAVE_DELAY_MS = 3;
const MOST_HAVE_DELAY_MS = 40;

/** What an Exchange reports while it serves. */
export interface ServingObserver {
  sentChunk(bytes: number): void;
  refusedChunk(): void;
}

/**
 * The serving side of one Exchange. Flow: `start` answers the open with what is here; each request changes the queue
 * and wakes the pump; the pump sends one part of a chunk at a time, reading the next while the transport takes the last, and
 * stops when nothing is asked. Chunks verified meanwhile are told as they come.
 */
export class ExchangeSession {
  readonly #file: StoredFile;
  readonly #queue: SendQueue;
  readonly #stream: AnswerStream;
  readonly #buffers: BufferPool;
  readonly #observer: ServingObserver;
  readonly #closing = new AbortController();
  #isPumping = false;
  /** The chunk of which some parts are still to be read. */
  #sending: { readonly chunk: number; readonly offset: number } | undefined;
  #verified: number[] = [];
  #haveTimer: NodeJS.Timeout | undefined;
  #haveDelayMs = LEAST_HAVE_DELAY_MS;
  /** When chunks were last told, or passed over because the receiver has them. */
  #toldAtMs = performance.now();
  readonly #receiverTold: (chunk: number) => boolean;
  readonly #unsubscribe: () => void;
  #idle: (() => void) | undefined;
  #isLeaving = false;
  /** Puts off the end of {@link quiet}. */
  #stir: (() => void) | undefined;

  constructor(deps: {
    readonly file: StoredFile;
    readonly open: Open__Output;
    readonly sent: SentChunks;
    /** Whether the receiver has told, on a stream on which it serves us, that it has a chunk. */
    readonly receiverTold: (chunk: number) => boolean;
    readonly stream: AnswerStream;
    readonly buffers: BufferPool;
    readonly observer: ServingObserver;
  }) {
    this.#file = deps.file;
    this.#stream = deps.stream;
    this.#buffers = deps.buffers;
    this.#observer = deps.observer;
    this.#receiverTold = deps.receiverTold;
    const { chunkCount } = deps.file.manifest;
    const receiverHas =
      deps.open.have.length === 0 ? new ChunkSet(chunkCount) : ChunkSet.fromBytes(deps.open.have as Buffer, chunkCount);
    this.#queue = new SendQueue(deps.file.have, receiverHas, deps.sent);
    this.#unsubscribe = deps.file.onVerified((chunk) => this.#tell(chunk));
  }

  /** Answers `open`; `peers` are others that are getting the file here. */
  start(
    open: Open__Output,
    { records, peers }: { readonly records: readonly string[]; readonly peers: readonly string[] },
  ): void {
    const { manifest, have } = this.#file;
    const { encoded } = manifest;
    this.#stream.write({
      opened: {
        size: manifest.size,
        chunkBytes: manifest.chunkBytes,
        have: have.toBytes(),
        manifestBytes: open.wantManifest ? encoded.length : 0,
        records: [...records],
        damaged: this.#file.isDamaged,
        peers: [...peers],
      },
    });
    if (!open.wantManifest) return;
    for (let at = 0; at < encoded.length; at += MAX_PART_BYTES) {
      this.#stream.write({ manifestPart: { data: encoded.subarray(at, at + MAX_PART_BYTES) } });
    }
  }

  /** Takes any request but `open`. Throws `invalid` for those that make no sense. */
  handle(request: ExchangeRequest__Output): void {
    if (request.want) {
      // The goodbye that follows tells that none of it will come.
      if (this.#isLeaving) return;
      this.#stir?.();
      const refused = this.#queue.want(request.want.chunks, request.want.any);
      if (refused.length > 0) this.#refuse(refused, 0, 'REFUSAL_REASON_MISSING');
      this.#wake();
    } else if (request.cancel) {
      this.#queue.cancel(request.cancel.chunks, request.cancel.any);
    } else if (request.have) {
      this.#queue.receiverGot(request.have.chunks);
    } else {
      throw new ShoalError('invalid', request.open ? 'a second open in one exchange' : 'an empty exchange request');
    }
  }

  /** Resolves when nothing was asked for, and nothing was being sent, for `quietMs`; or when the session is closed. */
  async quiet(quietMs: number): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => (this.#isPumping ? timer.refresh() : resolve()), quietMs);
      this.#stir = () => timer.refresh();
      const onClosed = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener('abort', onClosed, { once: true });
    });
    this.#stir = undefined;
  }

  /** Sends what has been asked for so far, then says goodbye. What is asked for from now on is not sent. */
  async leave(reason: string): Promise<void> {
    this.#isLeaving = true;
    if (this.#isPumping) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    if (!this.#closing.signal.aborted) this.#stream.write({ bye: { reason } });
  }

  close(): void {
    this.#closing.abort();
    this.#unsubscribe();
    clearTimeout(this.#haveTimer);
  }

  #wake(): void {
    if (this.#isPumping || this.#closing.signal.aborted) return;
    this.#isPumping = true;
    void this.#pump().finally(() => {
      this.#isPumping = false;
      this.#stir?.();
      this.#idle?.();
    });
  }

  async #pump(): Promise<void> {
    let reading = this.#readNext();
    while (reading !== undefined && !this.#closing.signal.aborted) {
      const part = await reading;
      // The next part is chosen and read while this one is on its way into the transport.
      reading = this.#readNext();
      if (part !== undefined) await this.#send(part);
      // A request that came while the last part was being written found the pump at work.
      reading ??= this.#readNext();
    }
    void reading?.then((part) => part === undefined || this.#buffers.give(part));
  }

  async #send(part: Buffer): Promise<void> {
    const hasRoom = this.#stream.write(part, () => this.#buffers.give(part));
    if (!hasRoom) await this.#stream.onceDrained(this.#closing.signal);
  }

  /** The next part of the chunk that is being sent, or of the next one; undefined when nothing is to be sent. */
  #readNext(): Promise<Buffer | undefined> | undefined {
    this.#sending ??= this.#chooseChunk();
    if (this.#sending === undefined) return undefined;
    const { chunk, offset } = this.#sending;
    const length = this.#file.manifest.chunkLength(chunk);
    const end = Math.min(offset + CHUNK_PART_BYTES, length);
    this.#sending = end < length ? { chunk, offset: end } : undefined;
    return this.#readPart(chunk, offset, end);
  }

  #chooseChunk(): { readonly chunk: number; readonly offset: number } | undefined {
    const chunk = this.#queue.next();
    if (chunk !== undefined) return { chunk, offset: 0 };
    const unservable = this.#queue.takeUnservable();
    if (unservable > 0) this.#refuse([], unservable, 'REFUSAL_REASON_MISSING');
    return undefined;
  }

  /** A message ready to be sent; undefined when the chunk could not be read, which the receiver is told. */
  async #readPart(chunk: number, offset: number, end: number): Promise<Buffer | undefined> {
    const frame = newChunkFrame(end - offset, this.#buffers);
    try {
      await this.#file.readInto(chunk, offset, frame.data);
    } catch (error) {
      this.#buffers.give(frame.buffer);
      // What was sent of it is thrown away by the receiver, who is told or sees another chunk begin.
      if (this.#sending?.chunk === chunk) this.#sending = undefined;
      this.#queue.notSent(chunk);
      const { code } = toShoalError(error);
      this.#refuse([chunk], 0, code === 'not_found' ? 'REFUSAL_REASON_MISSING' : 'REFUSAL_REASON_DAMAGED');
      return undefined;
    }
    if (end === this.#file.manifest.chunkLength(chunk)) this.#observer.sentChunk(end);
    return finishChunkFrame(frame, chunk, offset);
  }

  #refuse(chunks: number[], any: number, reason: 'REFUSAL_REASON_MISSING' | 'REFUSAL_REASON_DAMAGED'): void {
    if (this.#closing.signal.aborted) return;
    for (let i = 0; i < Math.max(any, chunks.length); i += 1) this.#observer.refusedChunk();
    this.#stream.write({ refused: { chunks, any, reason } });
  }

  #tell(chunk: number): void {
    if (this.#queue.receiverIsComplete) return;
    this.#verified.push(chunk);
    this.#haveTimer ??= setTimeout(() => this.#tellVerified(), this.#haveDelayMs);
  }

  #tellVerified(): void {
    this.#haveTimer = undefined;
    const nowMs = performance.now();
    const chunkMs = (nowMs - this.#toldAtMs) / this.#verified.length;
    this.#haveDelayMs = Math.max(LEAST_HAVE_DELAY_MS, Math.min(MOST_HAVE_DELAY_MS, 2 * chunkMs));
    this.#toldAtMs = nowMs;
    // Half of all news would be of chunks that the receiver has got before us.
    const chunks = this.#verified.filter((chunk) => !this.#receiverTold(chunk));
    this.#verified = [];
    if (chunks.length > 0) this.#stream.write({ have: { chunks } });
    this.#wake();
  }
}
