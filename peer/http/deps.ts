import type { Registry } from 'prom-client';
import type { Logger } from '../../common/log.js';
import type { Account, FileDetail, Holder, Located, Published, PublishTicket } from '../../index-server/api.js';
import type { StoredFile } from '../stored-file.js';
import type { SeedSessions } from './seed-sessions.js';
import type { ShareFolder } from './share-folder.js';

/** Credentials of a call to the index: the peer's token, and the user it acts for. */
export interface DoorAuth {
  readonly bearer: string;
  readonly onBehalf?: string;
}

/** What the index answered on one of the routes that the original's users know. */
export interface SeedAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** What the HTTP door asks the index. */
export interface DoorIndex {
  locate(auth: DoorAuth, body: { ref: string; limit?: number }, signal?: AbortSignal): Promise<Located>;
  stat(auth: DoorAuth, ref: string, signal?: AbortSignal): Promise<FileDetail>;
  account(auth: DoorAuth, signal?: AbortSignal): Promise<Account>;
  publishTicket(auth: DoorAuth, signal?: AbortSignal): Promise<PublishTicket>;
  seedLogin(auth: DoorAuth, body: unknown, signal?: AbortSignal): Promise<SeedAnswer>;
  seedLogout(auth: DoorAuth, body: unknown, signal?: AbortSignal): Promise<SeedAnswer>;
  seedIndex(auth: DoorAuth, body: unknown, signal?: AbortSignal): Promise<SeedAnswer>;
  seedSearch(auth: DoorAuth, body: unknown, signal?: AbortSignal): Promise<SeedAnswer>;
}

/** What the door needs to know of the peer's place in the swarm. */
export interface DoorMembership {
  /** Throws `unavailable` while the peer has not joined. */
  auth(onBehalf?: string): DoorAuth;
  readonly address: string;
  readonly livePeers: readonly { readonly name: string; readonly address: string }[];
}

/** A fetch under way. */
export interface DoorFetch {
  opened(signal: AbortSignal): Promise<StoredFile>;
  finished(signal: AbortSignal): Promise<unknown>;
}

/** What the door asks the swarm. */
export interface DoorSwarm {
  /** Joins the fetch of this file that is under way, or begins one. */
  start(request: {
    readonly id: string;
    readonly ref: string;
    readonly ticket: string;
    readonly holders: readonly Holder[];
    readonly record: string;
    readonly sha256: string;
    readonly onBehalf?: string;
  }): DoorFetch;
  /** Bytes of a file in order, verified, waiting for those that have not come yet. */
  readThrough(
    fetch: DoorFetch | undefined,
    file: StoredFile,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): AsyncIterable<Buffer>;
  /** The file of an id, found without the index: what is here, or a fetch from the peers that were live last. */
  retrieve(
    ref: string,
    options: { readonly onBehalf?: string },
    signal: AbortSignal,
  ): Promise<{ readonly fetch?: DoorFetch | undefined; readonly file?: StoredFile | undefined }>;
}

/** What the door publishes with. */
export interface DoorPublisher {
  publish(
    source: { readonly fd: number } | { readonly stream: AsyncIterable<Buffer>; readonly size?: number },
    options: {
      readonly name: string;
      readonly tags: Readonly<Record<string, string>>;
      readonly visibility: 'public' | 'private';
      readonly readers: readonly string[];
      readonly replicas: number;
      readonly onBehalf?: string;
      readonly wait: boolean;
    },
    context: { readonly signal: AbortSignal },
  ): Promise<{ readonly published: Published; readonly sha256: string }>;
}

/** The calls to other peers that the routes of the original's users make. */
export interface DoorPeers {
  upload(
    address: string,
    request: {
      readonly ticket: string;
      readonly header: {
        readonly name: string;
        readonly size: number;
        readonly sha256: string;
        readonly tags: Record<string, string>;
        readonly visibility: string;
        readonly readers: string[];
      };
      readonly data: AsyncIterable<Buffer>;
    },
    signal: AbortSignal,
  ): Promise<{ readonly fileId: string }>;
  download(
    address: string,
    request: { readonly ticket: string; readonly id: string },
    signal: AbortSignal,
  ): Promise<{ readonly data: AsyncIterable<Buffer> }>;
}

/** Where the door tells what it does. */
export interface DoorMetrics {
  readonly registry: Registry;
  readonly httpRequests: { inc(labels: { route: string; method: string; code: string }): void };
  readonly httpSeconds: { observe(labels: { route: string }, seconds: number): void };
  readonly receivedBytes: { inc(labels: { kind: 'http' }, bytes: number): void };
  readonly sentBytes: { inc(labels: { kind: 'http' }, bytes: number): void };
}

/** Whether the peer can take work; `reason` says why not. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reason?: string;
}

/** Everything that the HTTP door works with. */
export interface HttpDoorDeps {
  readonly log: Logger;
  readonly index: DoorIndex;
  readonly membership: DoorMembership;
  readonly store: { get(id: string): StoredFile | undefined };
  readonly swarm: DoorSwarm;
  readonly publisher: DoorPublisher;
  readonly peers: DoorPeers;
  readonly sessions: SeedSessions;
  readonly share: ShareFolder;
  readonly metrics: DoorMetrics;
  /** Ready = the store is open and gRPC is listening; the index being away is no reason not to be. */
  readonly readiness: () => Readiness;
}

/** Settings of the HTTP door. */
export interface HttpDoorOptions {
  /** Whether programs on this machine may do without a token. */
  readonly loopbackAccess: boolean;
  /** Whether nobody may act as the peer's own account. */
  readonly requireLogin: boolean;
  /** Copies of a file that is published here. */
  readonly replicas: number;
  /** How long a client may neither send nor take a byte before it is given up, in milliseconds. */
  readonly idleMs: number;
}
