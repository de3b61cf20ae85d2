import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, type Logger } from '../../common/log.js';
import type { PublishBody } from '../api/files.js';
import type { AnnounceBody, Joined } from '../api/peers.js';
import type { Catalog } from '../catalog.js';
import { IndexClient } from '../client.js';
import { type IndexConfig, readConfig } from '../config.js';
import { catalogIn } from '../open-catalog.js';
import type { PeerPlaces } from '../pods/peer-places.js';
import type { SliceSource } from '../pods/pod-watch.js';
import { type RunningIndex, runIndex } from '../server.js';
import { openSigner, type Signer } from '../signer.js';

/** What a test may change of a {@link TestIndex}. */
export interface TestIndexOptions {
  readonly config?: Partial<IndexConfig>;
  /** Where its store and its key are; its own folder, removed at the end, unless told. */
  readonly folder?: string;
  /** Put between the server and its store. */
  readonly wrap?: (catalog: Catalog) => Catalog;
  /** Where the pods of the peers are told. */
  readonly slices?: SliceSource;
  /** Where it is told whether the pods of peers come back. */
  readonly places?: PeerPlaces;
  /** Nothing is logged unless told. */
  readonly log?: Logger;
}

/**
 * A real index server on a free port, over a real embedded store, with a clock that stands still but for a
 * millisecond at each look, so that what happens has an order, and that a test can move.
 */
export class TestIndex {
  readonly client: IndexClient;
  readonly #running: RunningIndex;
  readonly #folder: string;
  readonly #keepsFolder: boolean;
  readonly catalog: Catalog;
  readonly signer: Signer;
  readonly #clock: { nowMs: number };

  private constructor(parts: {
    running: RunningIndex;
    folder: string;
    keepsFolder: boolean;
    catalog: Catalog;
    signer: Signer;
    clock: { nowMs: number };
  }) {
    this.#running = parts.running;
    this.#folder = parts.folder;
    this.#keepsFolder = parts.keepsFolder;
    this.catalog = parts.catalog;
    this.signer = parts.signer;
    this.#clock = parts.clock;
    this.client = new IndexClient({}, { baseUrl: this.url, timeoutMs: 10_000 });
  }

  static async start(options: TestIndexOptions = {}): Promise<TestIndex> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'shoal-index-')));
    const config = { ...readConfig({ SHOAL_INDEX_PORT: '0' }), ...options.config };
    const signer = await openSigner(join(folder, 'signing-key.pem'));
    const plain = await catalogIn(`embedded:${join(folder, 'catalog.db')}`);
    const catalog = options.wrap?.(plain) ?? plain;
    const clock = { nowMs: Date.now() };
    const running = await runIndex(config, {
      catalog,
      signer,
      slices: options.slices,
      places: options.places,
      log: options.log ?? createLogger({ name: 'index', level: 'silent' }),
      now: () => ++clock.nowMs,
      random: Math.random,
    });
    await running.ready;
    return new TestIndex({ running, folder, keepsFolder: options.folder !== undefined, catalog, signer, clock });
  }

  get url(): string {
    return this.#running.url;
  }

  /** Moves the clock of the index forward. */
  advance(ms: number): void {
    this.#clock.nowMs += ms;
  }

  /** A peer that has joined; its address is made up, nobody listens there. */
  async peer(name: string, options: { readonly bytesFree?: number; readonly files?: number } = {}): Promise<TestPeer> {
    const peer = new TestPeer(this.client, name, options);
    await peer.join();
    return peer;
  }

  /** A raw request, for what the client would not send. */
  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  /** The value of a series in /metrics, such as `shoal_index_peers{state="live"}`; 0 when it is not there. */
  async metric(series: string): Promise<number> {
    const text = await (await this.request('/metrics')).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
  }

  async stop(): Promise<void> {
    await this.#running.close(1000);
    if (!this.#keepsFolder) await rm(this.#folder, { recursive: true });
  }
}

/** What the index sees of a peer. */
export class TestPeer {
  readonly name: string;
  readonly incarnation = randomUUID();
  readonly address: string;
  readonly #client: IndexClient;
  readonly #load: { readonly files: number; readonly bytesUsed: number; readonly bytesFree: number };
  #joined: Joined | undefined;

  constructor(
    client: IndexClient,
    name: string,
    { bytesFree = 1e12, files = 0 }: { readonly bytesFree?: number; readonly files?: number } = {},
  ) {
    this.#client = client;
    this.name = name;
    this.address = `${name}.test:4999`;
    this.#load = { files, bytesUsed: 0, bytesFree };
  }

  get auth() {
    return { bearer: this.joined.peerToken };
  }

  get joined(): Joined {
    if (this.#joined === undefined) throw new Error(`${this.name} has not joined`);
    return this.#joined;
  }

  /** Credentials with which it acts for a user. */
  for(token: string) {
    return { ...this.auth, onBehalf: token };
  }

  async join(): Promise<Joined> {
    const { name, address, incarnation } = this;
    this.#joined = await this.#client.join({ name, address, incarnation, version: '0.0.0', ...this.#load }, undefined);
    return this.#joined;
  }

  beat(state: 'live' | 'draining' = 'live', renew = false) {
    const body = { incarnation: this.incarnation, state, renew, ...this.#load };
    return this.#client.heartbeat(this.auth, this.name, body);
  }

  handOver(...ids: string[]) {
    return this.#client.handOver(this.auth, this.name, { incarnation: this.incarnation, ids });
  }

  announce(body: Omit<AnnounceBody, 'incarnation'>) {
    return this.#client.announce(this.auth, this.name, { incarnation: this.incarnation, ...body });
  }

  /** Publishes made-up content: one letter or number stands for one content. */
  publish(name: string, options: Partial<PublishBody> & { readonly content?: string; readonly as?: string } = {}) {
    const { content = name, as, ...body } = options;
    return this.#client.publish(as === undefined ? this.auth : this.for(as), { ...fileBody(name, content), ...body });
  }
}

/** A publish body for made-up content. */
export function fileBody(name: string, content = name): PublishBody {
  return { id: idOf(content), name, size: 100_000, sha256: idOf(`${content}!`), chunkSize: 65_536, chunks: 2 };
}

/** An id for made-up content. */
export function idOf(content: string): string {
  return Buffer.from(content.padEnd(32, '\0')).toString('hex').slice(0, 64).padEnd(64, '0');
}

/** Waits until `check` is true, looking every 10 ms; fails after `withinMs`. */
export async function eventually(check: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`still not so after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
