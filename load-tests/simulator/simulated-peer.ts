import { ChunkSet } from '../../peer/chunk-set.js';
import { ChunkPicker } from '../../peer/swarm/chunk-picker.js';
import { PICKER_OPTIONS } from '../../peer/swarm/picker-options.js';
import { SendQueue, SentChunks } from '../../peer/swarm/send-queue.js';
import type { EventQueue } from './event-queue.js';
import { Flow, SimulatedLink, type SimulatedNetwork } from './simulated-network.js';

/*
 * A peer as far as a swarm sees it: the real picker and the real send queues, joined by simulated messages in place of
 * streams.
 */

/** What all peers of a simulation share. */
export interface SimulatedWorld {
  readonly events: EventQueue;
  readonly network: SimulatedNetwork;
  readonly random: () => number;
  readonly chunkCount: number;
  readonly chunkBytes: number;
  /** What a connection takes before the sender has to wait: a chunk in there cannot be taken back. */
  readonly transportBytes: number;
  /** News of chunks are gathered for so long. */
  readonly haveDelayMs: number;
  readonly maxWindowBytes: number;
  /** Messages about chunks, over all peers. */
  messages: number;
}

/** What one peer sends to another. */
class Session {
  readonly queue: SendQueue;
  readonly receiver: SimulatedPeer;
  readonly #sender: SimulatedPeer;
  readonly #world: SimulatedWorld;
  readonly #flow: Flow;
  /** Chunks on their way, and how much of the first is still to arrive. */
  readonly #onWay: number[] = [];
  #leftOfFirst = 0;

  constructor(world: SimulatedWorld, sender: SimulatedPeer, receiver: SimulatedPeer) {
    this.#world = world;
    this.#sender = sender;
    this.receiver = receiver;
    this.queue = new SendQueue(sender.have, copyOf(receiver.have), sender.sent);
    this.#flow = new Flow(
      world.network,
      { from: sender.link, to: receiver.link },
      { onSent: () => this.pump(), onArrived: (bytes) => this.#arrived(bytes) },
    );
  }

  /** Hands chunks to the connection as long as it takes them. */
  pump(): void {
    const { chunkBytes, transportBytes, network } = this.#world;
    while (this.#flow.waitingBytes < transportBytes) {
      const chunk = this.queue.next();
      if (chunk === undefined) break;
      if (this.#onWay.length === 0) this.#leftOfFirst = chunkBytes;
      this.#onWay.push(chunk);
      this.#flow.send(chunkBytes);
    }
    const unservable = this.#flow.waitingBytes < transportBytes ? this.queue.takeUnservable() : 0;
    if (unservable > 0) network.tell(() => this.receiver.refusedAny(this.#sender, unservable));
  }

  #arrived(bytes: number): void {
    const { receiver } = this;
    receiver.received(this.#sender, bytes);
    this.#leftOfFirst -= bytes;
    while (this.#leftOfFirst <= 0) {
      const chunk = this.#onWay.shift();
      if (chunk === undefined) break;
      this.#leftOfFirst = this.#onWay.length === 0 ? 0 : this.#leftOfFirst + this.#world.chunkBytes;
      receiver.got(this.#sender, chunk);
      if (this.#onWay.length === 0) break;
    }
  }
}

/** See the head of this file. */
export class SimulatedPeer {
  readonly name: string;
  readonly link: SimulatedLink;
  readonly have: ChunkSet;
  readonly sent: SentChunks;
  readonly #world: SimulatedWorld;
  readonly #picker: ChunkPicker;
  /** By receiver. */
  readonly #sessions = new Map<SimulatedPeer, Session>();
  readonly #sources = new Map<string, SimulatedPeer>();
  #news: number[] = [];
  /** What each source has not been told that we have. */
  readonly #untold = new Map<string, number[]>();
  #isTurnDue = false;
  #deadlineMs = Number.POSITIVE_INFINITY;
  duplicates = 0;
  completeMs: number | undefined;
  beganMs: number | undefined;

  constructor(
    world: SimulatedWorld,
    { name, mbit, isComplete }: { readonly name: string; readonly mbit: number; readonly isComplete: boolean },
  ) {
    const { chunkCount, chunkBytes, random, maxWindowBytes } = world;
    this.name = name;
    this.link = new SimulatedLink(mbit);
    this.have = isComplete ? ChunkSet.full(chunkCount) : new ChunkSet(chunkCount);
    this.sent = new SentChunks(chunkCount);
    this.#world = world;
    this.#picker = new ChunkPicker(this.have, { ...PICKER_OPTIONS, chunkBytes, random, maxWindowBytes });
  }

  /** Opens a conversation with a peer that may have something for us. */
  converse(source: SimulatedPeer): void {
    if (this.#sources.has(source.name) || this.have.isFull || source.link.isDead) return;
    const { network, events } = this.#world;
    this.beganMs ??= events.nowMs;
    this.#sources.set(source.name, source);
    network.tell(() => {
      source.#sessions.set(this, new Session(this.#world, source, this));
      const have = copyOf(source.have);
      network.tell(() => {
        if (source.link.isDead) return;
        this.#untold.set(source.name, []);
        this.#picker.join(source.name, have, events.nowMs);
        this.#wake();
      });
    });
  }

  /** Its machine fails: who converses with it sees the connection end. */
  die(): void {
    this.link.isDead = true;
    for (const receiver of this.#sessions.keys()) {
      this.#world.network.tell(() => {
        receiver.#picker.leave(this.name);
        receiver.#sources.delete(this.name);
        receiver.#wake();
      });
    }
  }

  /** What it sends to a receiver. */
  sessionFor(receiver: SimulatedPeer): Session | undefined {
    return this.#sessions.get(receiver);
  }

  get sources(): readonly SimulatedPeer[] {
    return [...this.#sources.values()];
  }

  // --- What the others send -----------------------------------------------------------------------------------------

  received(from: SimulatedPeer, bytes: number): void {
    this.#picker.received(from.name, bytes, this.#world.events.nowMs);
  }

  got(from: SimulatedPeer, chunk: number): void {
    const { events, haveDelayMs } = this.#world;
    if (this.#picker.arrived(from.name, chunk) === 'duplicate') {
      this.duplicates += 1;
      return;
    }
    this.have.add(chunk);
    for (const [source, untold] of this.#untold) if (source !== from.name) untold.push(chunk);
    this.#news.push(chunk);
    if (this.#news.length === 1) events.at(events.nowMs + haveDelayMs, () => this.#tellNews());
    if (this.have.isFull) this.completeMs = events.nowMs;
    this.#wake();
  }

  refusedAny(from: SimulatedPeer, count: number): void {
    this.#picker.refusedAny(from.name, count);
    this.#wake();
  }

  #has(from: SimulatedPeer, chunks: readonly number[]): void {
    this.#picker.has(from.name, chunks);
    this.#wake();
  }

  // --- What we say --------------------------------------------------------------------------------------------------

  #tellNews(): void {
    const chunks = this.#news;
    this.#news = [];
    const listeners = [...this.#sessions.keys()].filter((receiver) => !receiver.have.isFull);
    this.#world.messages += listeners.length;
    this.#world.network.tell(() => {
      for (const listener of listeners) listener.#has(this, chunks);
    });
    for (const session of this.#sessions.values()) session.pump();
  }

  #wake(): void {
    if (this.#isTurnDue || this.have.isFull || this.link.isDead) return;
    this.#isTurnDue = true;
    const { events } = this.#world;
    events.at(events.nowMs, () => {
      this.#isTurnDue = false;
      this.#turn();
    });
  }

  #turn(): void {
    const { events, network } = this.#world;
    for (const { kind, neighbour, chunks, any } of this.#picker.decide(events.nowMs)) {
      const session = this.#sources.get(neighbour)?.sessionFor(this);
      if (session === undefined) continue;
      const copy = [...chunks];
      const told = this.#untold.get(neighbour) ?? [];
      this.#untold.set(neighbour, []);
      this.#world.messages += 1;
      network.tell(() => {
        session.queue.receiverGot(told);
        if (kind === 'want') session.queue.want(copy, any);
        else session.queue.cancel(copy, any);
        session.pump();
      });
    }
    const deadlineMs = this.#picker.nextDeadlineMs() ?? Number.POSITIVE_INFINITY;
    if (deadlineMs === this.#deadlineMs || !Number.isFinite(deadlineMs)) return;
    this.#deadlineMs = deadlineMs;
    if (deadlineMs > events.nowMs) events.at(deadlineMs, () => this.#wake());
  }
}

function copyOf(set: ChunkSet): ChunkSet {
  return ChunkSet.fromBytes(set.toBytes(), set.size);
}
