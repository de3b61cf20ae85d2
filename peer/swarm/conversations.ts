import type { ShoalError } from '../../common/errors.js';
import type { ChunkSet } from '../chunk-set.js';
import type { StoredFile } from '../stored-file.js';
import type { Candidate, Candidates } from './candidates.js';
import type { Decision } from './chunk-picker.js';
import { Conversation, type ConversationNews } from './exchange-client.js';
import type { FetcherDeps, FetcherOptions } from './fetch.js';

/*
 * The conversations of one fetch, one with each neighbour: dials candidates, carries out what the picker decides, and
 * hangs up on who is silent or gives wrong bytes. What neighbours say is told on under their names; what to make of it is
 * decided elsewhere.
 */

/** Why a neighbour is one no longer: it ended the conversation, or was hung up on for its silence or for wrong bytes. */
export type Parting = 'ended' | 'silent' | 'expelled';

/** What neighbours say, and that they are gone. After `onLeft` nothing more is told of one. */
export interface ConversationsListener {
  /** It answered, and may be asked from now on. */
  onAnswered(name: string, news: ConversationNews): void;
  /** It has got these chunks. */
  onHave(name: string, chunks: readonly number[]): void;
  /** Part of a chunk came; told for each message. */
  onBytes(name: string, bytes: number): void;
  /** A whole chunk came, not yet verified. Give the parts back when they are done with. */
  onChunk(name: string, chunk: number, parts: readonly Buffer[]): void;
  /** It does not send these chunks, nor so many of those that it was to choose. */
  onRefused(name: string, chunks: readonly number[], any: number): void;
  onLeft(name: string, parting: Parting): void;
}

/** What conversations need. */
export interface ConversationsDeps extends Pick<FetcherDeps, 'exchanges' | 'membership' | 'log' | 'now' | 'report'> {
  /** Whom to dial, and what became of them. */
  readonly candidates: Candidates;
  readonly listener: ConversationsListener;
}

/** Settings of conversations. */
export interface ConversationsOptions extends Pick<FetcherOptions, 'maxNeighbours' | 'silentMs'> {
  readonly fileId: string;
}

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

/** The conversations of one fetch. */
export class Conversations {
  readonly #deps: ConversationsDeps;
  readonly #options: ConversationsOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #senders = new Set<string>();
  /** What is here of the file, once it is known. */
  #file: StoredFile | undefined;
  /** The chunks that are here, in the order in which they came. */
  readonly #arrivals: number[] = [];
  #receivedBytes = 0;
  #sawDamage = false;
  #trouble: ShoalError | undefined;

  constructor(deps: ConversationsDeps, options: ConversationsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Peers that are connected now, or being dialled. */
  get count(): number {
    return this.#peers.size;
  }

  /** Bytes of chunks that came, duplicates included. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Peers that sent some of them. */
  get senderCount(): number {
    return this.#senders.size;
  }

  /** Names of those who have answered, and are still connected. */
  get answered(): string[] {
    return [...this.#peers.values()].filter((peer) => peer.hasAnswered).map((peer) => peer.name);
  }

  /** Some peer said that its copy is damaged, or gave wrong bytes. */
  get sawDamage(): boolean {
    return this.#sawDamage || this.#deps.candidates.bannedCount > 0;
  }

  /** Whether nobody is connected whose copy may be good. */
  get isNobodyGood(): boolean {
    return [...this.#peers.values()].every((peer) => peer.isDamaged);
  }

  /** Why a peer that was called last could not be talked to, where its error says what to do. */
  get trouble(): ShoalError | undefined {
    return this.#trouble;
  }

  /** A copy of what a neighbour that has answered has told so far that it has. */
  otherHas(name: string): ChunkSet | undefined {
    return this.#peers.get(name)?.conversation.otherHas();
  }

  /** Whether a neighbour has told that it has a chunk. */
  hasTold(name: string, chunk: number): boolean {
    return this.#peers.get(name)?.conversation.otherHasTold(chunk) ?? false;
  }

  /** The file is known: those who are dialled from now on need not send the manifest. */
  begin(file: StoredFile): void {
    this.#file = file;
    for (const chunk of file.have) this.#arrivals.push(chunk);
  }

  /** A chunk is here. Those who fetch from us are told by the exchanges that serve them. */
  noteArrival(chunk: number): void {
    this.#arrivals.push(chunk);
  }

  /** Dials candidates whose time has come, as long as there is room for neighbours. */
  dial(ticket: string, nowMs: number): void {
    const room = this.#options.maxNeighbours - this.#peers.size;
    for (const candidate of this.#deps.candidates.take(room, nowMs)) this.#converse(candidate, ticket, nowMs);
  }

  /** Tells a neighbour what was decided; nothing happens when it has left. */
  carryOut({ kind, neighbour, chunks, any }: Decision): void {
    const peer = this.#peers.get(neighbour);
    if (peer === undefined) return;
    if (kind === 'want' && any > 0) this.#tellArrivals(peer);
    peer.conversation.send({ [kind]: { chunks: [...chunks], any } });
  }

  /** Hangs up on `owing`, who do not send what they were asked for, and on those who have not answered for too long. */
  dropSilent(owing: readonly string[], nowMs: number): void {
    for (const name of owing) this.#hangUp(name, 'silent');
    for (const { name, hasAnswered, openedAtMs } of this.#peers.values()) {
      if (!hasAnswered && nowMs - openedAtMs >= this.#options.silentMs) this.#hangUp(name, 'silent');
    }
  }

  /** Hangs up on one who gave wrong bytes, tells the index, and never dials it again for this file. */
  expel(name: string): void {
    this.#blame(name);
    this.#hangUp(name, 'expelled');
  }

  /** Ends all of them. Nothing is told any more. */
  close(): void {
    for (const { conversation } of this.#peers.values()) conversation.close();
    this.#peers.clear();
  }

  #converse({ peer: name, address }: Candidate, ticket: string, nowMs: number): void {
    const { exchanges, membership, listener } = this.#deps;
    const conversation = new Conversation(
      {
        exchanges,
        listener: {
          onOpened: (news) => this.#opened(name, news),
          onDamaged: () => this.#damaged(name),
          onHave: (chunks) => listener.onHave(name, chunks),
          onBytes: (bytes) => this.#gotBytes(name, bytes),
          onChunk: (chunk, parts) => listener.onChunk(name, chunk, parts),
          onRefused: (chunks, any) => listener.onRefused(name, chunks, any),
          onBye: () => this.#hangUp(name, 'ended'),
          onEnd: (error) => this.#ended(name, error),
        },
      },
      {
        fileId: this.#options.fileId,
        address,
        ticket,
        self: { peer: membership.peerName, address: membership.address },
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

  /** Only who chooses for us has to know what we have, and only when it does. */
  #tellArrivals(peer: Peer): void {
    const chunks = this.#arrivals.slice(peer.arrivalsTold);
    peer.arrivalsTold = this.#arrivals.length;
    if (chunks.length > 0) peer.conversation.send({ have: { chunks } });
  }

  #opened(name: string, news: ConversationNews): void {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    peer.hasAnswered = true;
    this.#deps.listener.onAnswered(name, news);
  }

  /** A peer has found its own copy damaged. It is kept: what it has otherwise is good. */
  #damaged(name: string): void {
    const peer = this.#peers.get(name);
    if (peer !== undefined) peer.isDamaged = true;
    this.#sawDamage = true;
  }

  #gotBytes(name: string, bytes: number): void {
    this.#receivedBytes += bytes;
    this.#senders.add(name);
    this.#deps.listener.onBytes(name, bytes);
  }

  /** The other side ended the conversation, in good order or not. */
  #ended(name: string, error: ShoalError | undefined): void {
    if (error?.code === 'corrupt') this.#blame(name);
    if (error !== undefined) {
      this.#deps.log.debug({ peer: name, file: this.#options.fileId, error }, 'a conversation ended');
    }
    // What somebody can do something about, unlike a peer that went away.
    if (error?.hint !== undefined && (error.code === 'unavailable' || error.code === 'denied')) this.#trouble = error;
    this.#hangUp(name, 'ended');
  }

  #blame(name: string): void {
    this.#deps.candidates.ban(name);
    this.#deps.report(this.#options.fileId, name);
  }

  #hangUp(name: string, parting: Parting): void {
    const peer = this.#peers.get(name);
    if (peer === undefined) return;
    this.#peers.delete(name);
    this.#deps.candidates.ended(name, this.#deps.now());
    peer.conversation.close(parting === 'silent' ? parting : undefined);
    this.#deps.listener.onLeft(name, parting);
  }
}
