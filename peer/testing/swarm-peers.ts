import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerDuplexStream, type ServerWritableStream } from '@grpc/grpc-js';
import { ShoalError } from '../../common/errors.js';
import { createLogger } from '../../common/log.js';
import type { Holder } from '../../index-server/api/files.js';
import type { TicketClaims } from '../../index-server/api/statements.js';
import type { DownloadManyRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyRequest.js';
import type { DownloadManyResponse } from '../../proto/gen/shoal/peer/v1/DownloadManyResponse.js';
import type { ExchangeRequest__Output } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import { ChunkStore } from '../chunk-store.js';
import { Hasher } from '../hasher.js';
import type { Manifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { ChannelPool } from '../swarm/channel-pool.js';
import { finishChunkFrame, newChunkFrame } from '../swarm/chunk-codec.js';
import { ExchangeDialer } from '../swarm/exchange-dialer.js';
import type { FetcherDeps, FetcherOptions } from '../swarm/fetch.js';
import { Fetcher } from '../swarm/fetcher.js';
import { type ExchangeAnswer, loadPeerService } from '../swarm/peer-service.js';
import { RemotePeers } from '../swarm/remote-peer.js';
import { TransferServer, type TransferServerDeps } from '../swarm/transfer-server.js';
import { channelCredentials } from '../transfers.js';
import { BULK_SETTING } from '../wire/bulk-setting.js';
import { CallDialer } from '../wire/call-dialer.js';
import { SpoilingPool } from './spoiling-pool.js';

/*
 * Peers reduced to the swarm: real stores, real gRPC on loopback, and no index. Beside the good ones there are silent,
 * lying, slow, dying and unreachable peers, which speak the real protocol as far as their nature lets them.
 */

const log = createLogger({ name: 'test', level: 'silent' });
const peerService = loadPeerService();
const WIRE = {
  windowBytes: 1 << 24,
  maxFrameBytes: 1 << 21,
  extraSettings: [BULK_SETTING],
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
};

/** A ticket that every swarm peer of the tests accepts for everything. */
export const TICKET = 'good-ticket';

/** A good peer. */
export interface SwarmPeer {
  readonly name: string;
  readonly holder: Holder;
  readonly store: ChunkStore;
  /** Folder of the store. */
  readonly dir: string;
  readonly fetcher: Fetcher;
  readonly remote: RemotePeers;
  readonly server: TransferServer;
  /** What was reported to the index: FILE/PEER. */
  readonly reports: string[];
  /** Bytes of chunks sent to others. */
  readonly sent: { bytes: number };
  readonly buffers: SpoilingPool;
  /** What `locate` answers; replace it to change the index's mind. */
  locate: FetcherDeps['locate'];
  livePeers: { name: string; address: string }[];
  close(): Promise<void>;
}

/** Opens a store in a folder of its own, which goes with it. */
async function openTempStore(quotaBytes = 0): Promise<{ store: ChunkStore; dir: string; close: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-store-'));
  const hasher = new Hasher({ threads: 1 });
  const store = new ChunkStore({ log, hasher }, { dir, quotaBytes, reserveBytes: 0 });
  await store.open();
  return {
    store,
    dir,
    close: async () => {
      await store.close();
      await hasher.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Longer than any test: when a machine is busy, good peers are not taken for silent ones and asked twice. */
const PATIENT_MS = 60_000;

/** For fetches from peers that may really be silent: how long they are waited for. */
export const IMPATIENT = { silentMs: 400 };

/** Starts a good peer, which waits for others as long as it takes unless it is told to be {@link IMPATIENT}. */
export async function startSwarmPeer(
  name: string,
  options: Partial<FetcherOptions> & { readonly quotaBytes?: number; readonly deps?: Partial<TransferServerDeps> } = {},
): Promise<SwarmPeer> {
  const { store, dir, close: closeStore } = await openTempStore(options.quotaBytes);
  const identity = options.deps?.identity;
  const pool = new ChannelPool({ credentials: channelCredentials(identity), windowBytes: 1 << 24, maxIdle: 64 });
  // In every test: memory that is used after it was given back spoils a chunk.
  const buffers = new SpoilingPool({ keepBytes: 1 << 24 });
  const dialer = new CallDialer(
    { buffers, identity },
    { ...WIRE, maxIdle: 64, maxMessageBytes: 1 << 24, maxHeldBytes: 1 << 26 },
  );
  const { service } = peerService;
  const exchanges = new ExchangeDialer({ dialer, buffers, service });
  const remote = new RemotePeers({ pool, service });
  const sent = { bytes: 0 };
  const reports: string[] = [];
  const membership = {
    peerName: name,
    address: '',
    swarmToken: TICKET,
    livePeers: [] as { name: string; address: string }[],
  };
  const peer = {} as { locate: FetcherDeps['locate'] };
  const fetcher = new Fetcher(
    {
      store,
      exchanges,
      membership,
      locate: (request, signal) => peer.locate(request, signal),
      report: (id, bad) => reports.push(`${id}/${bad}`),
      checkRecords: (_id, records) => Promise.resolve({ records, sha256: undefined }),
      log,
      observer: { receivedBytes: nothing, chunk: nothing, firstByte: nothing, ended: nothing },
      now: () => performance.now(),
      random: Math.random,
    },
    { maxNeighbours: 32, maxWindowBytes: 8 << 20, silentMs: PATIENT_MS, noSourceMs: 1500, awayMs: 20_000, ...options },
  );
  const server = new TransferServer(
    {
      peerService,
      file: (id) => store.get(id),
      activeFetch: (id) => fetcher.get(id),
      refetch: (id, ticket) => fetcher.start({ id, ticket, holders: [] }),
      noteNeighbour: (id, other) => fetcher.noteNeighbour(id, other),
      verifyTicket,
      isPublic: () => Promise.resolve(true),
      upload: () => Promise.reject(new ShoalError('internal', 'this peer takes no uploads')),
      replicate: () => Promise.reject(new ShoalError('internal', 'this peer does not replicate')),
      buffers,
      identity,
      log,
      observer: {
        sentBytes: (_kind, bytes) => {
          sent.bytes += bytes;
        },
        refusedChunk: nothing,
        refusedConnection: nothing,
        receivedBytes: nothing,
        serving: nothing,
        call: nothing,
      },
      ...options.deps,
    },
    { peerName: name, wire: { ...WIRE, helloMs: 20_000 } },
  );
  const port = await server.listen('127.0.0.1', 0);
  membership.address = `127.0.0.1:${port}`;
  return Object.assign(peer, {
    name,
    holder: { peer: name, address: membership.address, complete: true },
    store,
    dir,
    fetcher,
    remote,
    server,
    reports,
    sent,
    buffers,
    locate: () => Promise.resolve({ holders: [] as Holder[], ticket: TICKET }),
    livePeers: membership.livePeers,
    close: async () => {
      await fetcher.stop();
      exchanges.close();
      remote.close();
      await server.drain(0);
      await closeStore();
    },
  });
}

function nothing(): void {}

function verifyTicket(token: string): Promise<TicketClaims> {
  if (token !== TICKET)
    return Promise.reject(new ShoalError('unauthenticated', 'this ticket is not signed by the index'));
  return Promise.resolve({ sub: 'peer:test', name: 'test', act: 'peer', exp: Number.MAX_SAFE_INTEGER });
}

const CHUNKS_BEFORE_DEATH = 2;

/** How a bad peer misbehaves once it is asked for chunks. */
export type Nature = 'silent' | 'mute' | 'lying' | 'dying' | 'slow' | 'piecemeal';

/**
 * Starts a peer that claims to hold all of `file` and then
 * - silent: never answers at all; mute: answers the open and sends nothing more;
 * - lying: sends other bytes; dying: cuts the connection when it has sent two chunks and is asked for more;
 * - slow: sends one chunk each 150 ms; piecemeal: sends every chunk, in pieces.
 */
export async function startBadPeer(
  name: string,
  nature: Nature,
  file: StoredFile,
): Promise<{ holder: Holder; close(): void }> {
  const server = new Server();
  const sessions = new Set<NodeJS.Timeout>();
  const exchange = (call: ServerDuplexStream<ExchangeRequest__Output, ExchangeAnswer>) => {
    const queue: number[] = [];
    let chosen = 0;
    let sentCount = 0;
    call.on('error', nothing);
    call.on('data', (request: ExchangeRequest__Output) => {
      if (nature === 'silent') return;
      if (request.open) answerOpen(call, file.manifest, request.open.wantManifest);
      if (nature === 'mute' || !request.want) return;
      // The receiver asks for more, so what was sent has arrived: now is the time to die.
      if (nature === 'dying' && sentCount === CHUNKS_BEFORE_DEATH) server.forceShutdown();
      queue.push(...request.want.chunks);
      for (let i = 0; i < request.want.any; i += 1) {
        queue.push(chosen % file.manifest.chunkCount);
        chosen += 1;
      }
      if (nature !== 'slow') flush();
    });
    const flush = () => {
      for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
        if (nature === 'dying' && sentCount === CHUNKS_BEFORE_DEATH) return;
        sentCount += 1;
        if (nature === 'piecemeal') sendPieces(call, file, chunk);
        else sendChunk(call, file, chunk, nature === 'lying');
        if (nature === 'slow') return;
      }
    };
    if (nature === 'slow') sessions.add(setInterval(flush, 150));
    call.on('cancelled', () => call.end());
  };
  server.addService(peerService.service, {
    Exchange: exchange,
    Download: nothing,
    DownloadMany: nothing,
    Upload: nothing,
    Replicate: nothing,
    GetInfo: nothing,
  });
  const port = await listening(server);
  return {
    holder: { peer: name, address: `127.0.0.1:${port}`, complete: true },
    close: () => {
      for (const timer of sessions) clearInterval(timer);
      server.forceShutdown();
    },
  };
}

/** Starts a peer that is asked for small files and sends other bytes, nothing, or a refusal for each. */
export async function startBadSmallPeer(
  name: string,
  nature: 'lying' | 'silent' | 'refusing',
): Promise<{ holder: Holder; close(): void }> {
  const server = new Server();
  const answer = ({ fileId }: { readonly fileId: string }) =>
    nature === 'lying' ? { fileId, data: Buffer.from('other') } : { fileId, code: 'not_found' };
  server.addService(peerService.service, {
    Exchange: nothing,
    Download: nothing,
    DownloadMany: (call: ServerWritableStream<DownloadManyRequest__Output, DownloadManyResponse>) => {
      if (nature === 'silent') return;
      call.write({ files: call.request.files.map(answer) });
      call.end();
    },
    Upload: nothing,
    Replicate: nothing,
    GetInfo: nothing,
  });
  const port = await listening(server);
  return {
    holder: { peer: name, address: `127.0.0.1:${port}`, complete: true },
    close: () => server.forceShutdown(),
  };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

function answerOpen(call: { write(answer: ExchangeAnswer): boolean }, manifest: Manifest, wantManifest: boolean): void {
  const have = Buffer.alloc(Math.ceil(manifest.chunkCount / 8));
  for (let chunk = 0; chunk < manifest.chunkCount; chunk += 1) {
    have.writeUInt8(have.readUInt8(chunk >> 3) | (1 << (chunk & 7)), chunk >> 3);
  }
  const manifestBytes = wantManifest ? manifest.encoded.length : 0;
  call.write({ opened: { size: manifest.size, chunkBytes: manifest.chunkBytes, have, manifestBytes, records: [] } });
  if (wantManifest) call.write({ manifestPart: { data: manifest.encoded } });
}

function sendChunk(
  call: { write(answer: ExchangeAnswer): boolean },
  file: StoredFile,
  chunk: number,
  isLie: boolean,
): void {
  const frame = newChunkFrame(file.manifest.chunkLength(chunk), { take: (bytes) => Buffer.alloc(bytes) });
  file.readSync(chunk, 0, frame.data, 0, frame.data.length);
  if (isLie) frame.data.writeUInt8(frame.data.readUInt8(0) ^ 1, 0);
  call.write(finishChunkFrame(frame, chunk, 0));
}

/** Pieces large enough to come from the receiver's pool. */
const PIECE_BYTES = 36 * 1024;

function sendPieces(call: { write(answer: ExchangeAnswer): boolean }, file: StoredFile, chunk: number): void {
  const length = file.manifest.chunkLength(chunk);
  for (let offset = 0; offset < length; offset += PIECE_BYTES) {
    const frame = newChunkFrame(Math.min(PIECE_BYTES, length - offset), { take: (bytes) => Buffer.alloc(bytes) });
    file.readSync(chunk, offset, frame.data, 0, frame.data.length);
    call.write(finishChunkFrame(frame, chunk, offset));
  }
}
