import { ShoalError } from '../../common/errors.js';
import type { ExchangeRequest } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import type { ExchangeResponse__Output } from '../../proto/gen/shoal/peer/v1/ExchangeResponse.js';
import { ChunkSet } from '../chunk-set.js';
import { decodeManifest, type Manifest } from '../manifest.js';
import type { ChunkPart } from './chunk-codec.js';
import type { ExchangeCall, ExchangeDialer } from './exchange-dialer.js';
import type { ExchangeNews } from './peer-service.js';

/** Manifests larger than this are refused: 64 MiB describe 8 TiB. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

/** What the other side answered to `open`. */
export interface ConversationNews {
  readonly manifest: Manifest | undefined;
  readonly records: readonly string[];
  /** Names of others who are getting the file there. */
  readonly peers: readonly string[];
}

/** What one conversation tells the fetch. `onEnd` comes last, once. */
export interface ConversationListener {
  /** The other side answered; the manifest is there if it was asked for, and checked against the id. */
  onOpened(news: ConversationNews): void;
  /** The other side says that chunks of its copy are damaged; before `onOpened`, or with a refusal. */
  onDamaged(): void;
  onHave(chunks: readonly number[]): void;
  /** Part of a chunk came; told for each message, so that a rate can be measured. */
  onBytes(bytes: number): void;
  /** A whole chunk came, not yet verified. Give the parts back when they are done with. */
  onChunk(chunk: number, parts: readonly Buffer[]): void;
  onRefused(chunks: readonly number[], any: number): void;
  onBye(): void;
  onEnd(error: ShoalError | undefined): void;
}

/**
 * The asking side of one Exchange: puts manifest parts and chunk parts together and checks that the other side keeps to
 * the protocol. One that does not is told off by `onEnd` with `corrupt`.
 */
export class Conversation {
  readonly #fileId: string;
  readonly #listener: ConversationListener;
  readonly #call: ExchangeCall;
  #opened: { have: Buffer; records: readonly string[]; peers: readonly string[]; manifestBytes: number } | undefined;
  #otherHave = new ChunkSet(0);
  #manifestParts: Buffer[] = [];
  #manifestReceived = 0;
  #isOpen = false;
  #chunkParts: Buffer[] = [];
  #chunkIndex = -1;
  #chunkReceived = 0;
  #manifest: Manifest | undefined;

  /** `manifest` is what is known already; without it the other side is asked for it. */
  constructor(
    deps: { readonly exchanges: ExchangeDialer; readonly listener: ConversationListener },
    options: {
      readonly fileId: string;
      readonly address: string;
      readonly ticket: string;
      readonly self: { readonly peer: string; readonly address: string };
      readonly manifest: Manifest | undefined;
      readonly have: Buffer;
    },
  ) {
    this.#fileId = options.fileId;
    this.#listener = deps.listener;
    this.#manifest = options.manifest;
    this.#call = deps.exchanges.open(options.address, options.ticket, {
      onNews: (news) => this.#guarded(news),
      onEnd: (error) => this.#listener.onEnd(error),
    });
    this.#call.send({
      open: {
        fileId: options.fileId,
        ...options.self,
        wantManifest: options.manifest === undefined,
        have: options.have,
      },
    });
  }

  /** A copy of what the other side has told so far that it has. Only after `onOpened`. */
  otherHas(): ChunkSet {
    return ChunkSet.fromBytes(this.#otherHave.toBytes(), this.#otherHave.size);
  }

  /** Whether the other side has told that it has this chunk. */
  otherHasTold(chunk: number): boolean {
    return this.#otherHave.has(chunk);
  }

  send(request: ExchangeRequest): void {
    this.#call.send(request);
  }

  close(why?: 'silent'): void {
    this.#call.close(why);
  }

  #guarded(news: ExchangeNews): void {
    try {
      if ('part' in news) this.#part(news.part);
      else this.#message(news.message);
    } catch (error) {
      this.#call.close();
      this.#listener.onEnd(
        error instanceof ShoalError ? error : new ShoalError('internal', 'an exchange failed', { cause: error }),
      );
    }
  }

  #message(message: ExchangeResponse__Output): void {
    if (message.opened) {
      const { have, records, peers, manifestBytes } = message.opened;
      if (message.opened.damaged) this.#listener.onDamaged();
      if (manifestBytes > MAX_MANIFEST_BYTES) throw misbehaved(`announced a manifest of ${manifestBytes} bytes`);
      this.#opened = { have: have as Buffer, records, peers, manifestBytes };
      if (this.#manifest !== undefined) this.#begin(undefined);
      else if (manifestBytes === 0) throw misbehaved('did not send the manifest it was asked for');
    } else if (message.manifestPart) {
      this.#takeManifest(message.manifestPart.data as Buffer);
    } else if (message.have) {
      const chunks = this.#checked(message.have.chunks);
      for (const chunk of chunks) this.#otherHave.add(chunk);
      this.#listener.onHave(chunks);
    } else if (message.chunk) {
      this.#part({ index: message.chunk.index, offset: message.chunk.offset, data: message.chunk.data as Buffer });
    } else if (message.refused) {
      if (message.refused.reason === 'REFUSAL_REASON_DAMAGED') this.#listener.onDamaged();
      this.#listener.onRefused(this.#checked(message.refused.chunks), message.refused.any);
    } else if (message.bye) {
      this.#listener.onBye();
    }
  }

  #takeManifest(data: Buffer): void {
    if (this.#opened === undefined || this.#isOpen) throw misbehaved('sent a manifest that nobody asked for');
    this.#manifestParts.push(data);
    this.#manifestReceived += data.length;
    if (this.#manifestReceived > this.#opened.manifestBytes) throw misbehaved('sent more manifest than it announced');
    if (this.#manifestReceived < this.#opened.manifestBytes) return;
    this.#manifest = decodeManifest(Buffer.concat(this.#manifestParts), this.#fileId);
    this.#manifestParts = [];
    this.#begin(this.#manifest);
  }

  #begin(manifest: Manifest | undefined): void {
    if (this.#isOpen) throw misbehaved('opened twice');
    this.#isOpen = true;
    const { chunkCount } = this.#manifest as Manifest;
    const have = this.#opened?.have ?? Buffer.alloc(0);
    this.#otherHave = have.length === 0 ? new ChunkSet(chunkCount) : ChunkSet.fromBytes(have, chunkCount);
    this.#listener.onOpened({ manifest, records: this.#opened?.records ?? [], peers: this.#opened?.peers ?? [] });
  }

  #part(part: ChunkPart): void {
    const manifest = this.#manifest;
    if (!this.#isOpen || manifest === undefined) throw misbehaved('sent a chunk before it answered');
    if (part.index >= manifest.chunkCount) throw misbehaved(`sent chunk ${part.index} of ${manifest.chunkCount}`);
    if (part.offset === 0) {
      this.#chunkParts = [];
      this.#chunkReceived = 0;
      this.#chunkIndex = part.index;
    }
    if (part.index !== this.#chunkIndex || part.offset !== this.#chunkReceived) {
      throw misbehaved(`sent a part of chunk ${part.index} out of order`);
    }
    this.#chunkParts.push(part.data);
    this.#chunkReceived += part.data.length;
    this.#listener.onBytes(part.data.length);
    const length = manifest.chunkLength(part.index);
    if (this.#chunkReceived > length) throw misbehaved(`sent ${this.#chunkReceived} bytes of a chunk of ${length}`);
    if (this.#chunkReceived < length) return;
    const parts = this.#chunkParts;
    this.#chunkParts = [];
    this.#chunkIndex = -1;
    this.#listener.onChunk(part.index, parts);
  }

  #checked(chunks: readonly number[]): readonly number[] {
    const count = this.#manifest?.chunkCount ?? 0;
    const wrong = chunks.find((chunk) => chunk >= count);
    if (wrong !== undefined) throw misbehaved(`spoke of chunk ${wrong} of ${count}`);
    return chunks;
  }
}

function misbehaved(what: string): ShoalError {
  return new ShoalError('corrupt', `a peer ${what}`);
}
