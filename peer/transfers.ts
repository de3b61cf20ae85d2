import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { TicketClaims } from '../index-server/api/statements.js';
import type { IndexClient } from '../index-server/client.js';
import type { UploadHeader__Output } from '../proto/gen/shoal/peer/v1/UploadHeader.js';
import type { ChunkStore } from './chunk-store.js';
import { visibilityOf } from './control/files.js';
import type { Membership } from './membership.js';
import type { PeerMetrics } from './metrics.js';
import { fetchObserver, smallFetchObserver, transferObserver } from './observers.js';
import type { OrderRunner } from './orders.js';
import type { Publisher } from './publish.js';
import { isPublic } from './records.js';
import { ChannelPool } from './swarm/channel-pool.js';
import { ExchangeDialer } from './swarm/exchange-dialer.js';
import type { FetcherOptions, FetchRequest } from './swarm/fetch.js';
import { Fetcher } from './swarm/fetcher.js';
import { loadPeerService } from './swarm/peer-service.js';
import { RemotePeers } from './swarm/remote-peer.js';
import { SmallFetcher } from './swarm/small-fetcher.js';
import { TransferServer } from './swarm/transfer-server.js';
import type { TicketVerifier } from './tickets.js';
import type { TlsIdentity } from './tls/tls-identity.js';
import { BufferPool } from './wire/buffer-pool.js';
import { BULK_SETTING } from './wire/bulk-setting.js';
import { CallDialer } from './wire/call-dialer.js';
import type { Http2Options } from './wire/http2-connection.js';

/*
 * Joins the data plane (swarm/) to the rest of the daemon: what it asks the index, whom it believes, what it counts.
 */

/** Window of each connection: what may be on its way to us. Less makes a fast link with a long round trip slow. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const IDLE_CHANNELS = 64;
/** Chunks come in messages of at most 1 MiB, each in one frame. */
const WIRE_OPTIONS: Http2Options = {
  windowBytes: WINDOW_BYTES,
  maxFrameBytes: 2 * 1024 * 1024,
  extraSettings: [BULK_SETTING],
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
};
const HELLO_MS = 20_000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const POOL_BYTES = 32 * 1024 * 1024;
/** Chunks that wait for the disk. */
const MAX_HELD_BYTES = 24 * 1024 * 1024;
const FETCHER_OPTIONS = {
  maxNeighbours: 32,
  maxWindowBytes: 8 * 1024 * 1024,
  silentMs: 10_000,
  noSourceMs: 10_000,
};

/** What everything here needs. */
export interface TransferParts {
  readonly store: ChunkStore;
  readonly index: Pick<IndexClient, 'locate' | 'report'>;
  readonly membership: Membership;
  readonly verifier: TicketVerifier;
  readonly metrics: PeerMetrics;
  readonly log: Logger;
}

/** The proto of peers and the client sides of it, with TLS if there is an identity. Both are to be closed. */
export function createRemotePeers(identity: TlsIdentity | undefined): {
  readonly peerService: ReturnType<typeof loadPeerService>;
  readonly peers: RemotePeers;
  readonly exchanges: ExchangeDialer;
  readonly buffers: BufferPool;
} {
  const peerService = loadPeerService();
  const pool = new ChannelPool({
    credentials: channelCredentials(identity),
    windowBytes: WINDOW_BYTES,
    maxIdle: IDLE_CHANNELS,
  });
  const buffers = new BufferPool({ keepBytes: POOL_BYTES });
  const dialer = new CallDialer(
    { buffers, identity },
    { ...WIRE_OPTIONS, maxIdle: IDLE_CHANNELS, maxMessageBytes: MAX_MESSAGE_BYTES, maxHeldBytes: MAX_HELD_BYTES },
  );
  const { service } = peerService;
  const exchanges = new ExchangeDialer({ dialer, buffers, service });
  return { peerService, buffers, exchanges, peers: new RemotePeers({ pool, service }) };
}

/** What channels are opened with: the same until the identity is renewed. */
export function channelCredentials(identity: TlsIdentity | undefined): () => ChannelCredentials {
  const create = () =>
    identity === undefined ? credentials.createInsecure() : credentials.createFromSecureContext(identity.context);
  let current = create();
  identity?.onRenewed(() => {
    current = create();
  });
  return () => current;
}

/** The fetching side. `isReplicating` says which files are fetched for the swarm rather than for a user. */
export function createFetcher(
  parts: TransferParts,
  { exchanges, isReplicating }: { readonly exchanges: ExchangeDialer; readonly isReplicating: (id: string) => boolean },
  options: Pick<FetcherOptions, 'awayMs'>,
): Fetcher {
  const { store, index, membership, verifier, metrics, log } = parts;
  return new Fetcher(
    {
      store,
      exchanges,
      membership,
      locate: async (request: FetchRequest, signal: AbortSignal) => {
        try {
          const auth = membership.auth(request.onBehalf);
          const { file, ticket, away } = await index.locate(auth, { ref: request.id }, signal);
          return { holders: file.holders, ticket, ...(away !== undefined && { away }) };
        } catch (error) {
          // A private file that is copied is none that this peer's own account could locate; orders bring its holders.
          if (toShoalError(error).code !== 'not_found' || !isReplicating(request.id)) throw error;
          throw new ShoalError('unavailable', 'only an order of the index tells who holds this file', { cause: error });
        }
      },
      report: (id, peer) => reportCorrupt(parts, id, peer),
      checkRecords: (id, records) => goodRecords(verifier, id, records),
      log,
      observer: fetchObserver(metrics),
      now: () => performance.now(),
      random: Math.random,
    },
    { ...FETCHER_OPTIONS, ...options },
  );
}

/** The fetching side of many small files. */
export function createSmallFetcher(parts: TransferParts, { peers }: { readonly peers: RemotePeers }): SmallFetcher {
  const { store, membership, verifier, metrics } = parts;
  return new SmallFetcher(
    {
      store,
      peers,
      membership,
      checkRecords: (id, records) => goodRecords(verifier, id, records),
      report: (id, peer) => reportCorrupt(parts, id, peer),
      observer: smallFetchObserver(metrics),
      now: () => performance.now(),
      random: Math.random,
    },
    { silentMs: FETCHER_OPTIONS.silentMs },
  );
}

function reportCorrupt({ index, membership, log }: TransferParts, id: string, peer: string): void {
  const reported = Promise.resolve().then(() => index.report(membership.auth(), { id, peer, reason: 'corrupt' }));
  reported.catch((error: unknown) => log.warn({ id, peer, error }, 'could not report a peer that sent bad bytes'));
}

async function goodRecords(
  verifier: TicketVerifier,
  id: string,
  records: readonly string[],
): Promise<{ readonly records: readonly string[]; readonly sha256: string | undefined }> {
  const checked = await Promise.allSettled(records.map((record) => verifier.verifyRecord(record)));
  const good = checked.flatMap((result, i) => {
    const record = records[i];
    const isGood = result.status === 'fulfilled' && result.value.id === id && record !== undefined;
    return isGood ? [{ record, sha256: result.value.sha256 }] : [];
  });
  return { records: good.map(({ record }) => record), sha256: good[0]?.sha256 };
}

/** The serving side. */
export function createTransferServer(
  parts: TransferParts,
  others: {
    readonly peerService: ReturnType<typeof loadPeerService>;
    readonly buffers: BufferPool;
    readonly fetcher: Fetcher;
    readonly publisher: Publisher;
    readonly orders: OrderRunner;
    readonly identity: TlsIdentity | undefined;
  },
): TransferServer {
  const { store, membership, verifier, metrics, log } = parts;
  const { peerService, buffers, fetcher, publisher, orders, identity } = others;
  return new TransferServer(
    {
      peerService,
      file: (id) => store.get(id),
      activeFetch: (id) => fetcher.get(id),
      refetch: (id, ticket) => {
        // The index may tell this peer's own account nothing of a file that the ticket lets others give.
        const holders = membership.livePeers.map(({ name: peer, address }) => ({ peer, address, complete: false }));
        return fetcher.start({ id, ticket, holders });
      },
      noteNeighbour: (id, peer) => fetcher.noteNeighbour(id, peer),
      verifyTicket: (token) => verifier.verifyTicket(token, { nowMs: Date.now(), cutOff: membership.isCutOff }),
      isPublic: async (file) => isPublic(file.records),
      upload: (header, data, caller, signal) => upload(publisher, { header, data, caller, signal }),
      replicate: (id, ticket, signal) => orders.replicate(id, ticket, signal),
      buffers,
      identity,
      log,
      observer: transferObserver(metrics),
    },
    {
      peerName: membership.peerName,
      wire: { ...WIRE_OPTIONS, helloMs: HELLO_MS },
    },
  );
}

/** Publishes what a gRPC client sends: for the user of a publish ticket, or for the peers' own account. */
async function upload(
  publisher: Publisher,
  call: {
    readonly header: UploadHeader__Output;
    readonly data: AsyncIterable<Buffer>;
    readonly caller: { readonly claims: TicketClaims; readonly ticket: string };
    readonly signal: AbortSignal;
  },
): Promise<{ readonly id: string; readonly size: number; readonly sha256: string }> {
  const { header, data, caller, signal } = call;
  const { name, tags, readers, size } = header;
  const { published, sha256 } = await publisher.publish(
    size === undefined ? { stream: data } : { stream: data, size },
    {
      name,
      tags,
      readers,
      visibility: visibilityOf(header.visibility) ?? 'public',
      onBehalf: caller.claims.act === 'publish' ? caller.ticket : undefined,
      sha256: header.sha256 === '' ? undefined : header.sha256,
      wait: false,
    },
    { signal },
  );
  return { id: published.file.id, size: published.file.size, sha256 };
}
