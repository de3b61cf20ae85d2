import { EventQueue } from './event-queue.js';
import { SimulatedNetwork } from './simulated-network.js';
import { SimulatedPeer, type SimulatedWorld } from './simulated-peer.js';

/** A crowd to be simulated. */
export interface SimulationOptions {
  /** Rates of links in Mbit/s, up and down alike; the first holder's comes first. */
  readonly mbits: readonly number[];
  readonly bytes: number;
  readonly chunkBytes: number;
  /** Peers that one converses with, the first holder among them. */
  readonly neighbours: number;
  readonly latencyMs: number;
  readonly transportBytes: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The first holder's machine fails when so many copies have left it. */
  readonly firstHolderDiesAfter?: number;
  /** The last peer comes when the others have so much of the file. */
  readonly lateComerAt?: number;
}

/** What came of it. Times are simulated. */
export interface Simulation {
  /** From when each began until it had everything; undefined when it did not. */
  readonly seconds: readonly (number | undefined)[];
  readonly firstHolderCopies: number;
  /** Of all chunks that had to come. */
  readonly duplicates: number;
  /** Messages about chunks, for each chunk that had to come. */
  readonly messages: number;
  /** Use of all downlinks in each tenth of the time. */
  readonly use: readonly number[];
}

const PACKET_BYTES = 16 * 1024;
const QUEUE_MS = 50;
const HAVE_DELAY_MS = 3;
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
const LOOK_MS = 50;
const TENTHS = 10;

/** Simulates a crowd until everybody has the file, or nothing happens any more. */
export function simulateSwarm(options: SimulationOptions): Simulation {
  return new SwarmSimulation(options).run();
}

class SwarmSimulation {
  readonly #options: SimulationOptions;
  readonly #world: SimulatedWorld;
  readonly #first: SimulatedPeer;
  readonly #others: readonly SimulatedPeer[];
  readonly #received: number[] = [];
  #isIncidentOver = false;

  constructor(options: SimulationOptions) {
    const { bytes, chunkBytes, latencyMs, transportBytes, random, mbits } = options;
    this.#options = options;
    const events = new EventQueue();
    this.#world = {
      events,
      network: new SimulatedNetwork(events, { packetBytes: PACKET_BYTES, latencyMs, queueMs: QUEUE_MS }),
      random,
      chunkCount: Math.ceil(bytes / chunkBytes),
      chunkBytes,
      transportBytes,
      haveDelayMs: HAVE_DELAY_MS,
      maxWindowBytes: MAX_WINDOW_BYTES,
      messages: 0,
    };
    const [first, ...others] = mbits.map(
      (mbit, number) => new SimulatedPeer(this.#world, { name: `p${number}`, mbit, isComplete: number === 0 }),
    );
    if (first === undefined || others.length === 0) throw new RangeError('a crowd has a first holder and others');
    this.#first = first;
    this.#others = others;
  }

  run(): Simulation {
    const late = this.#options.lateComerAt === undefined ? undefined : this.#others.at(-1);
    const atOnce = this.#others.filter((peer) => peer !== late);
    for (const peer of atOnce) this.#begin(peer, atOnce);
    this.#look(late);
    const { events } = this.#world;
    while (this.#others.some(({ completeMs }) => completeMs === undefined) && events.step());
    return this.#result();
  }

  #begin(peer: SimulatedPeer, others: readonly SimulatedPeer[]): void {
    peer.converse(this.#first);
    const { neighbours, random } = this.#options;
    const strangers = others.filter((other) => other !== peer);
    // A random graph: each chooses some, and is chosen by as many.
    const wanted = Math.min(strangers.length, Math.ceil((neighbours - 1) / (strangers.length < neighbours ? 1 : 2)));
    for (let chosen = 0; chosen < wanted; chosen += 1) {
      const at = chosen + Math.floor(random() * (strangers.length - chosen));
      const other = strangers[at] as SimulatedPeer;
      strangers[at] = strangers[chosen] as SimulatedPeer;
      strangers[chosen] = other;
      peer.converse(other);
      other.converse(peer);
    }
  }

  #look(late: SimulatedPeer | undefined): void {
    const { events, chunkCount, chunkBytes } = this.#world;
    const { firstHolderDiesAfter, lateComerAt, bytes } = this.#options;
    this.#received.push(this.#others.reduce((sum, { link }) => sum + link.receivedBytes, 0));
    if (!this.#isIncidentOver) {
      if (firstHolderDiesAfter !== undefined && this.#first.link.sentBytes >= firstHolderDiesAfter * bytes) {
        this.#isIncidentOver = true;
        this.#first.die();
      }
      const others = this.#others.filter((peer) => peer !== late);
      const share = others.reduce((sum, { have }) => sum + have.count, 0) / others.length / chunkCount;
      if (late !== undefined && lateComerAt !== undefined && share >= lateComerAt) {
        this.#isIncidentOver = true;
        this.#begin(late, others);
      }
    }
    const before = this.#received.at(-1 - Math.ceil(30_000 / LOOK_MS));
    if (before !== undefined && (this.#received.at(-1) ?? 0) - before < chunkBytes) return;
    events.at(events.nowMs + LOOK_MS, () => this.#look(late));
  }

  #result(): Simulation {
    const { chunkBytes } = this.#options;
    const { chunkCount, messages } = this.#world;
    const chunks = chunkCount * this.#others.length;
    const seconds = this.#others.map(({ beganMs, completeMs }) =>
      completeMs === undefined ? undefined : (completeMs - (beganMs ?? 0)) / 1000,
    );
    return {
      seconds,
      firstHolderCopies: this.#first.link.sentBytes / (chunkCount * chunkBytes),
      duplicates: this.#others.reduce((sum, peer) => sum + peer.duplicates, 0) / chunks,
      messages: messages / chunks,
      use: this.#use(),
    };
  }

  #use(): readonly number[] {
    const capacity = this.#others.reduce((sum, { link }) => sum + link.downBytesPerMs, 0) * LOOK_MS;
    const slice = (this.#received.length - 1) / TENTHS;
    return Array.from({ length: TENTHS }, (_, at) => {
      const [from, to] = [Math.floor(at * slice), Math.floor((at + 1) * slice)];
      const got = (this.#received[to] ?? 0) - (this.#received[from] ?? 0);
      return to === from ? 0 : got / capacity / (to - from);
    });
  }
}
