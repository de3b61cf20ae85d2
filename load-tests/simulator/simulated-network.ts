import type { EventQueue } from './event-queue.js';

/*
 * A network in which every node has an uplink and a downlink and nothing else is narrow. Bytes go in packets: an uplink
 * serves its flows in turn, one packet each, and a downlink takes packets as they come. A flow rests while its
 * receiver's downlink has more waiting than a switch would keep, as TCP would make it.
 */

/** How a network behaves. */
export interface NetworkOptions {
  readonly packetBytes: number;
  /** From one node to another, when nothing waits. */
  readonly latencyMs: number;
  /** What may wait at a downlink. */
  readonly queueMs: number;
}

/** One end. */
export class SimulatedLink {
  readonly upBytesPerMs: number;
  readonly downBytesPerMs: number;
  /** Flows that have something to send, in the order in which they are served. */
  readonly ready: Flow[] = [];
  isSending = false;
  isDead = false;
  /** When its downlink will have taken all that is on its way. */
  downFreeMs = 0;
  sentBytes = 0;
  receivedBytes = 0;

  constructor(mbit: number) {
    this.upBytesPerMs = (mbit * 1e6) / 8 / 1000;
    this.downBytesPerMs = this.upBytesPerMs;
  }
}

/** Bytes from one node to another, in order, as a connection carries them. */
export class Flow {
  readonly from: SimulatedLink;
  readonly to: SimulatedLink;
  readonly #network: SimulatedNetwork;
  #waitingBytes = 0;
  #isReady = false;
  readonly #onSent: () => void;
  readonly #onArrived: (bytes: number) => void;

  constructor(
    network: SimulatedNetwork,
    ends: { readonly from: SimulatedLink; readonly to: SimulatedLink },
    listener: { readonly onSent: () => void; readonly onArrived: (bytes: number) => void },
  ) {
    this.#network = network;
    this.from = ends.from;
    this.to = ends.to;
    this.#onSent = listener.onSent;
    this.#onArrived = listener.onArrived;
  }

  /** Bytes that were handed over and have not left yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  send(bytes: number): void {
    this.#waitingBytes += bytes;
    this.#enlist();
  }

  /** For the network: the next packet leaves. */
  take(packetBytes: number): number {
    const bytes = Math.min(packetBytes, this.#waitingBytes);
    this.#waitingBytes -= bytes;
    this.#isReady = false;
    return bytes;
  }

  sent(): void {
    this.#onSent();
    this.#enlist();
  }

  arrived(bytes: number): void {
    this.#onArrived(bytes);
  }

  #enlist(): void {
    if (this.#isReady || this.#waitingBytes === 0 || this.from.isDead || this.to.isDead) return;
    this.#isReady = true;
    this.#network.enlist(this);
  }
}

/** See the head of this file. */
export class SimulatedNetwork {
  readonly #events: EventQueue;
  readonly options: NetworkOptions;

  constructor(events: EventQueue, options: NetworkOptions) {
    this.#events = events;
    this.options = options;
  }

  /** A message too small to take time on a link: it comes after the latency. */
  tell(run: () => void): void {
    this.#events.at(this.#events.nowMs + this.options.latencyMs, run);
  }

  enlist(flow: Flow): void {
    const { queueMs } = this.options;
    const { nowMs } = this.#events;
    const waitMs = flow.to.downFreeMs - nowMs;
    if (waitMs > queueMs) this.#events.at(nowMs + waitMs - queueMs, () => this.enlist(flow));
    else {
      flow.from.ready.push(flow);
      this.#sendNext(flow.from);
    }
  }

  #sendNext(link: SimulatedLink): void {
    if (link.isSending || link.isDead) return;
    const flow = link.ready.shift();
    if (flow === undefined) return;
    const bytes = flow.take(this.options.packetBytes);
    link.isSending = true;
    this.#events.at(this.#events.nowMs + bytes / link.upBytesPerMs, () => {
      link.isSending = false;
      if (link.isDead) return;
      link.sentBytes += bytes;
      this.#deliver(flow, bytes);
      flow.sent();
      this.#sendNext(link);
    });
  }

  #deliver(flow: Flow, bytes: number): void {
    const { to } = flow;
    if (to.isDead) return;
    to.downFreeMs = Math.max(to.downFreeMs, this.#events.nowMs) + bytes / to.downBytesPerMs;
    this.#events.at(to.downFreeMs + this.options.latencyMs, () => {
      if (to.isDead) return;
      to.receivedBytes += bytes;
      flow.arrived(bytes);
    });
  }
}
