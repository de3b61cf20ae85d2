import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { VERSION } from '../../common/version.js';
import type { DownloadManyRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyRequest.js';
import type { DownloadManyResponse } from '../../proto/gen/shoal/peer/v1/DownloadManyResponse.js';
import type { DownloadRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadRequest.js';
import type { DownloadResponse } from '../../proto/gen/shoal/peer/v1/DownloadResponse.js';
import type { ExchangeRequest__Output } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import type { ReplicateRequest__Output } from '../../proto/gen/shoal/peer/v1/ReplicateRequest.js';
import type { UploadHeader__Output } from '../../proto/gen/shoal/peer/v1/UploadHeader.js';
import type { UploadRequest__Output } from '../../proto/gen/shoal/peer/v1/UploadRequest.js';
import type { UploadResponse } from '../../proto/gen/shoal/peer/v1/UploadResponse.js';
import { type RefusalReason, Refusals } from '../tls/refusals.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import { CallServer, type CallServerOptions } from '../wire/call-server.js';
import { type IncomingCall, refuseUnknownMethod } from '../wire/incoming-call.js';
import { CallOutcomes } from './call-outcomes.js';
import { DownloadServer } from './download-server.js';
import { ExchangeService } from './exchange-service.js';
import { overGrpc, overWire } from './exchange-stream.js';
import type { Fetch } from './fetch.js';
import {
  authorizationOf,
  type Caller,
  checkMayPublish,
  checkMayReplicate,
  FileAccess,
  type FileAccessDeps,
} from './file-access.js';
import { refuseMalformed, tolerant } from './malformed.js';
import { type ExchangeAnswer, type loadPeerService, PEER_SERVICE } from './peer-service.js';
import { createReflection } from './reflection.js';
import type { TransferObserver } from './transfer-observer.js';
import { readUpload } from './upload-stream.js';

/** What the handlers need of the rest of the peer. */
export interface TransferServerDeps extends FileAccessDeps {
  readonly peerService: ReturnType<typeof loadPeerService>;
  /** The fetch of a file that is under way, if any. */
  readonly activeFetch: (id: string) => Fetch | undefined;
  /** Begins or joins a fetch of what is missing of a file, with a caller's ticket. */
  readonly refetch: (id: string, ticket: string) => Fetch;
  /** A peer opened an Exchange about a file: if it is being fetched here too, that peer may have some of it. */
  readonly noteNeighbour: (id: string, peer: string) => void;
  /** Stores and publishes for the user of the ticket. */
  readonly upload: (
    header: UploadHeader__Output,
    data: AsyncIterable<Buffer>,
    caller: Caller,
    signal: AbortSignal,
  ) => Promise<{ readonly id: string; readonly size: number; readonly sha256: string }>;
  /** Fetches a file with the caller's ticket and keeps it. */
  readonly replicate: (id: string, ticket: string, signal: AbortSignal) => Promise<{ readonly receivedBytes: number }>;
  readonly buffers: BufferPool;
  /** With it, all calls come over TLS. */
  readonly identity: TlsIdentity | undefined;
  readonly log: Logger;
  readonly observer: TransferObserver;
}

/** Settings of the server. */
export interface TransferServerOptions {
  readonly peerName: string;
  /** Of connections with peers. */
  readonly wire: CallServerOptions;
}

/** Of the time to leave in, what is kept for goodbyes: enough to send what was asked for. */
const GOODBYE_MS = 2_000;
const LEAVING = 'this peer is leaving';

/**
 * The gRPC server that other peers, and any gRPC client, call. One port: a peer that fetches is served by wire/, which is
 * made for bulk bytes; every other call by grpc-js.
 */
export class TransferServer {
  readonly #deps: TransferServerDeps;
  readonly #options: TransferServerOptions;
  readonly #access: FileAccess;
  readonly #outcomes: CallOutcomes;
  readonly #exchanges: ExchangeService;
  readonly #downloads: DownloadServer;
  readonly #server: Server;
  readonly #port: CallServer;
  readonly #health = new HealthImplementation({ '': 'SERVING', [PEER_SERVICE]: 'SERVING' });
  readonly #leaving = new AbortController();

  constructor(deps: TransferServerDeps, options: TransferServerOptions) {
    this.#deps = deps;
    this.#options = options;
    const access = new FileAccess(deps);
    const outcomes = new CallOutcomes(deps);
    this.#access = access;
    this.#outcomes = outcomes;
    this.#exchanges = new ExchangeService({ ...deps, access, outcomes, leaving: this.#leaving.signal });
    this.#downloads = new DownloadServer({ ...deps, access });
    this.#server = this.#createServer();
    this.#port = this.#createPort();
  }

  /** Streams on which this peer sends chunks to others. */
  get servingCount(): number {
    return this.#exchanges.count;
  }

  /** Listens at host:port and returns the port (a free one for port 0). */
  listen(host: string, port: number): Promise<number> {
    return this.#port.listen(host, port);
  }

  /**
   * Leaves in good order: health says NOT_SERVING, no new call is taken, fetches for other peers end, downloads finish,
   * and receivers are served until they have what they want here. One that wants nothing for a while gets a goodbye; so
   * do all, while there is still time to hear it, shortly before `graceMs` are over. What is left then is cut.
   */
  async drain(graceMs: number): Promise<void> {
    this.#leaving.abort(new ShoalError('unavailable', LEAVING));
    this.#health.setStatus('', 'NOT_SERVING');
    this.#health.setStatus(PEER_SERVICE, 'NOT_SERVING');
    const cut = setTimeout(() => {
      this.#server.forceShutdown();
      this.#port.cut();
    }, graceMs);
    let last: NodeJS.Timeout | undefined;
    const lastCall = new Promise<void>((resolve) => {
      last = setTimeout(resolve, Math.max(0, graceMs - GOODBYE_MS));
    });
    const goodbyes = this.#exchanges.sayGoodbye(LEAVING, lastCall);
    const shutdown = new Promise<void>((resolve) => {
      // Its error says that calls were cut, which is what the limit is for.
      this.#server.tryShutdown(() => resolve());
    });
    const hungUp = this.#port.leave();
    await goodbyes;
    await Promise.all([shutdown, hungUp]);
    clearTimeout(last);
    clearTimeout(cut);
  }

  #createServer(): Server {
    const server = new Server({
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      interceptors: [refuseMalformed],
    });
    server.addService(tolerant(this.#deps.peerService.service), this.#handlers());
    this.#health.addToServer(server);
    createReflection().addToServer(server);
    return server;
  }

  #createPort(): CallServer {
    const { buffers, identity, log, observer } = this.#deps;
    // What is injected has no TLS any more.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const count = (reason: RefusalReason) => observer.refusedConnection(reason);
    return new CallServer(
      {
        onCall: (call) => this.#takeCall(call),
        otherwise: (socket) => injector.injectConnection(socket),
        buffers,
        identity,
        refusals: new Refusals({ log, count, now: () => performance.now() }),
        log,
      },
      this.#options.wire,
    );
  }

  /** What grpc-js serves: every call of a program that is no peer, and of peers all but their exchanges. */
  #handlers(): UntypedServiceImplementation {
    const outcomes = this.#outcomes;
    const downloads = this.#downloads;
    return {
      Exchange: (call: ServerDuplexStream<ExchangeRequest__Output, ExchangeAnswer>) =>
        void this.#exchanges.serve(overGrpc(call)),
      Download: (call: ServerWritableStream<DownloadRequest__Output, DownloadResponse>) =>
        void outcomes.stream('Download', call, (signal) => downloads.download(call, signal)),
      DownloadMany: (call: ServerWritableStream<DownloadManyRequest__Output, DownloadManyResponse>) =>
        void outcomes.stream('DownloadMany', call, (signal) => downloads.downloadMany(call, signal)),
      Upload: (call: ServerReadableStream<UploadRequest__Output, UploadResponse>, callback: sendUnaryData<object>) =>
        void outcomes.answer('Upload', { call, callback }, (signal) => this.#upload(call, signal)),
      Replicate: (call: ServerUnaryCall<ReplicateRequest__Output, object>, callback: sendUnaryData<object>) =>
        void outcomes.answer('Replicate', { call, callback }, (signal) =>
          this.#replicate(call, AbortSignal.any([signal, this.#leaving.signal])),
        ),
      GetInfo: ((_call, callback) => {
        outcomes.note('GetInfo', undefined);
        callback(null, { peer: this.#options.peerName, version: VERSION, draining: this.#leaving.signal.aborted });
      }) satisfies handleUnaryCall<object, object>,
    };
  }

  /** What wire/ serves. */
  #takeCall(call: IncomingCall): void {
    const { Exchange } = this.#deps.peerService.service;
    // Its serialiser takes what is serialised already too; the generated type does not know that.
    const responseSerialize = Exchange.responseSerialize as (answer: ExchangeAnswer) => Buffer;
    if (call.path !== Exchange.path) refuseUnknownMethod(call);
    else void this.#exchanges.serve(overWire(call, { ...Exchange, responseSerialize }));
  }

  async #upload(
    call: ServerReadableStream<UploadRequest__Output, UploadResponse>,
    signal: AbortSignal,
  ): Promise<UploadResponse> {
    const caller = await this.#access.caller(authorizationOf(call.metadata));
    checkMayPublish(caller);
    const { observer, upload } = this.#deps;
    const { header, data } = await readUpload(call as AsyncIterable<UploadRequest__Output>, (bytes) =>
      observer.receivedBytes(bytes),
    );
    const stored = await upload(header, data, caller, signal);
    return { fileId: stored.id, size: stored.size, sha256: stored.sha256 };
  }

  async #replicate(call: ServerUnaryCall<ReplicateRequest__Output, object>, signal: AbortSignal): Promise<object> {
    const { fileId } = call.request;
    const caller = await this.#access.caller(authorizationOf(call.metadata));
    checkMayReplicate(caller, fileId);
    const { receivedBytes } = await this.#deps.replicate(fileId, caller.ticket, signal);
    return { bytesReceived: receivedBytes };
  }
}
