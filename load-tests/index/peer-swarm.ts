import { randomUUID } from 'node:crypto';
import type { HeartbeatAnswer, Joined } from '../../index-server/api/peers.js';
import { LIMITS } from '../../index-server/api/values.js';
import { LoadClient } from './load-client.js';
import { type Percentiles, percentilesOf } from './percentiles.js';
import { filesHeldBy, idOf, peerNameOf } from './planned-catalogue.js';

/*
 * Many peers as the index sees them, in one process: each joins, announces what it holds, and sends heartbeats as often
 * as it is told to, over a connection of its own, as pods do.
 */

/** Peers that join at the same time. */
const JOINING = 32;

/** What a swarm is told. */
export interface SwarmOptions {
  readonly baseUrl: string;
  readonly peers: number;
  /** In the catalogue. */
  readonly files: number;
}

/** How a swarm came up. */
export interface SwarmStart {
  /** Until the last peer had joined and announced. */
  readonly seconds: number;
  readonly holdings: number;
}

/** What happened since it was last asked. */
export interface SwarmFigures {
  readonly beats: Percentiles | undefined;
  /** How often each peer is to send a heartbeat, as the index last told. */
  readonly heartbeatMs: number;
  readonly leaseMs: number;
}

/** Peers that are in the swarm until {@link stop}. */
export class PeerSwarm {
  readonly #options: SwarmOptions;
  readonly #failed: (error: unknown) => void;
  readonly #timers = new Map<BenchPeer, NodeJS.Timeout>();
  readonly #peers: BenchPeer[] = [];
  #times: number[] = [];
  #told = { heartbeatMs: 0, leaseMs: 0 };

  /** `failed` is told the first request that went wrong, and all others. */
  constructor(deps: { failed(error: unknown): void }, options: SwarmOptions) {
    this.#failed = deps.failed;
    this.#options = options;
  }

  /** Resolves when all have joined and announced what they hold; heartbeats go on from then. */
  async start(): Promise<SwarmStart> {
    const beganMs = performance.now();
    const { peers } = this.#options;
    let next = 0;
    let holdings = 0;
    const worker = async () => {
      while (next < peers) {
        const number = next++;
        const held = await this.#begin(number);
        holdings += held;
      }
    };
    await Promise.all(Array.from({ length: JOINING }, worker));
    return { seconds: (performance.now() - beganMs) / 1000, holdings };
  }

  /** What happened since this was last called. */
  figures(): SwarmFigures {
    const times = this.#times;
    this.#times = [];
    return { beats: times.length === 0 ? undefined : percentilesOf(times), ...this.#told };
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const peer of this.#peers) peer.close();
  }

  async #begin(number: number): Promise<number> {
    const peer = new BenchPeer(this.#options.baseUrl, peerNameOf(number), filesHeldBy(number, this.#options).map(idOf));
    this.#peers.push(peer);
    const { heartbeatMs } = await peer.join();
    await peer.announce();
    // At any moment of the interval, so that beats come evenly.
    this.#schedule(peer, performance.now() + Math.random() * heartbeatMs);
    return peer.ids.length;
  }

  #schedule(peer: BenchPeer, dueMs: number): void {
    const beat = async () => {
      try {
        const { heartbeatMs, leaseMs } = await peer.beat();
        this.#told = { heartbeatMs, leaseMs };
        this.#times.push(performance.now() - dueMs);
        this.#schedule(peer, dueMs + heartbeatMs);
      } catch (error) {
        this.#failed(error);
      }
    };
    this.#timers.set(
      peer,
      setTimeout(() => void beat(), Math.max(0, dueMs - performance.now())),
    );
  }
}

/** One peer, and what it says to the index. */
export class BenchPeer {
  readonly name: string;
  readonly ids: readonly string[];
  readonly #incarnation = randomUUID();
  readonly #client: LoadClient;
  #token = '';

  constructor(baseUrl: string, name: string, ids: readonly string[]) {
    this.name = name;
    this.ids = ids;
    this.#client = new LoadClient({ baseUrl, connections: 1 });
  }

  /** What it shows to the index. */
  get token(): string {
    return this.#token;
  }

  async join(): Promise<Joined> {
    // Nobody is told to dial it: it has no bytes.
    const body = { name: this.name, address: `${this.name}:4999`, version: '0', ...this.#state() };
    const joined = await this.#post<Joined>('/api/v1/peers', body);
    this.#token = joined.peerToken;
    return joined;
  }

  beat(): Promise<HeartbeatAnswer> {
    return this.#post(this.#path('heartbeat'), { state: 'live', ...this.#state() });
  }

  /** Announces everything, in pages. `revisionOf` tells the revision of the records kept of the file at a place. */
  async announce(revisionOf?: (at: number) => string): Promise<void> {
    const pages = Math.max(1, Math.ceil(this.ids.length / LIMITS.announce));
    let mark: string | undefined;
    for (let page = 0; page < pages; page += 1) {
      const first = page * LIMITS.announce;
      const held = this.ids.slice(first, first + LIMITS.announce).map((id, i) => ({
        ...{ id, complete: true },
        ...(revisionOf !== undefined && { revision: revisionOf(first + i) }),
      }));
      const full = pages === 1 ? 'only' : page === 0 ? 'begin' : page === pages - 1 ? 'end' : undefined;
      const body = { incarnation: this.#incarnation, held, full, ...(full === 'end' && { mark }) };
      const answer = await this.#post<{ mark?: string; unknown: string[] }>(this.#path('holdings'), body);
      if (answer.unknown.length > 0) throw new Error(`the index does not know ${answer.unknown.length} of the files`);
      mark ??= answer.mark;
    }
  }

  close(): void {
    this.#client.close();
  }

  #state() {
    return { incarnation: this.#incarnation, files: this.ids.length, bytesUsed: 0, bytesFree: 1e12 };
  }

  #path(what: string): string {
    return `/api/v1/peers/${this.name}/${what}`;
  }

  async #post<T>(path: string, body: object): Promise<T> {
    const content = await this.#client.send({ method: 'POST', path, token: this.#token, body });
    return JSON.parse(content.toString()) as T;
  }
}
