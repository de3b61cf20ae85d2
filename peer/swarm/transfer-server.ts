import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { isFileId } from '../../common/names.js';
import { VERSION } from '../../common/version.js';
import type { TicketClaims } from '../../index-server/api/statements.js';
import type { DownloadManyRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyRequest.js';
import type { DownloadManyResponse } from '../../proto/gen/shoal/peer/v1/DownloadManyResponse.js';
import type { DownloadRequest__Output } from '../../proto/gen/shoal/peer/v1/DownloadRequest.js';
import type { DownloadResponse } from '../../proto/gen/shoal/peer/v1/DownloadResponse.js';
import type { ExchangeRequest__Output } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import type { Open__Output } from '../../proto/gen/shoal/peer/v1/Open.js';
import type { ReplicateRequest__Output } from '../../proto/gen/shoal/peer/v1/ReplicateRequest.js';
import type { UploadHeader__Output } from '../../proto/gen/shoal/peer/v1/UploadHeader.js';
import type { UploadRequest__Output } from '../../proto/gen/shoal/peer/v1/UploadRequest.js';
import type { UploadResponse } from '../../proto/gen/shoal/peer/v1/UploadResponse.js';
import { unlessAborted } from '../abort.js';
import { toGrpcError } from '../grpc.js';
import type { StoredFile } from '../stored-file.js';
import { type RefusalReason, Refusals } from '../tls/refusals.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import { CallServer, type CallServerOptions } from '../wire/call-server.js';
import { type IncomingCall, refuseUnknownMethod } from '../wire/incoming-call.js';
import { ExchangeSession } from './exchange-server.js';
import { type ExchangeStream, overGrpc, overWire } from './exchange-stream.js';
import type { Fetch } from './fetch.js';
import { refuseMalformed, tolerant } from './malformed.js';
import { type ExchangeAnswer, type loadPeerService, PEER_SERVICE } from './peer-service.js';
import { readThrough } from './read-through.js';
import { createReflection } from './reflection.js';
import { SentChunks } from './send-queue.js';
import { sendSmallFiles } from './send-small-files.js';

/** What the handlers need of the rest of the peer. */
export interface TransferServerDeps {
  readonly peerService: ReturnType<typeof loadPeerService>;
  readonly file: (id: string) => StoredFile | undefined;
  /** The fetch of a file that is under way, if any. */
  readonly activeFetch: (id: string) => Fetch | undefined;
  /** Begins or joins a fetch of what is missing of a file, with a caller's ticket. */
  readonly refetch: (id: string, ticket: string) => Fetch;
  /** A peer opened an Exchange about a file: if it is being fetched here too, that peer may have some of it. */
  readonly noteNeighbour: (id: string, peer: string) => void;
  /** Checks the ticket and returns what it says; throws `unauthenticated` or `denied`. */
  readonly verifyTicket: (token: string) => Promise<TicketClaims>;
  /** Whether the records kept beside the file let every account read it. */
  readonly isPublic: (file: StoredFile) => Promise<boolean>;
  /** Stores and publishes for the user of the ticket. */
  readonly upload: (
    header: UploadHeader__Output,
    data: AsyncIterable<Buffer>,
    caller: { readonly claims: TicketClaims; readonly ticket: string },
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

/** What the server reports to the metrics. */
export interface TransferObserver {
  sentBytes(kind: 'exchange' | 'download', bytes: number): void;
  /** Of an upload. */
  receivedBytes(bytes: number): void;
  refusedChunk(): void;
  refusedConnection(reason: RefusalReason): void;
  /** A stream on which this peer serves began (+1) or ended (-1). */
  serving(kind: 'exchange' | 'download', change: 1 | -1): void;
  call(method: 'Exchange' | 'Download' | 'DownloadMany' | 'Upload' | 'Replicate' | 'GetInfo', code: string): void;
}

/** Settings of the server. */
export interface TransferServerOptions {
  readonly peerName: string;
  /** Of connections with peers. */
  readonly wire: CallServerOptions;
}

/** A receiver that wants nothing for this long while this peer leaves is told goodbye. */
const QUIET_MS = 3_000;
/** Of the time to leave in, what is kept for goodbyes: enough to send what was asked for. */
const GOODBYE_MS = 2_000;
const LEAVING = 'this peer is leaving';

/** Receivers of a file that is not complete here itself. */
const MOST_RECEIVERS = 48;
/** Peers that a receiver is told of. */
const PEERS_TOLD = 24;

/** The receivers of one file. */
interface Crowd {
  /** What was sent to any of them, so that each can be sent something else. */
  readonly sent: SentChunks;
  /** By their streams, the names that they gave. */
  readonly receivers: Map<ExchangeStream, string>;
}

type Method = Parameters<TransferObserver['call']>[0];

/**
 * The gRPC server that other peers, and any gRPC client, call. One port: a peer that fetches is served by wire/, which is
 * made for bulk bytes; every other call by grpc-js.
 */
export class TransferServer {
  readonly #deps: TransferServerDeps;
  readonly #options: TransferServerOptions;
  readonly #server: Server;
  readonly #port: CallServer;
  readonly #health = new HealthImplementation({ '': 'SERVING', [PEER_SERVICE]: 'SERVING' });
  readonly #sessions = new Map<ExchangeSession, () => void>();
  /** By file, while it has receivers: what was sent to any of them, and their names. */
  readonly #crowds = new Map<string, Crowd>();
  readonly #leaving = new AbortController();

  constructor(deps: TransferServerDeps, options: TransferServerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#server = new Server({
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      interceptors: [refuseMalformed],
    });
    this.#server.addService(tolerant(deps.peerService.service), {
      Exchange: (call: ServerDuplexStream<ExchangeRequest__Output, ExchangeAnswer>) =>
        void this.#exchange(overGrpc(call)),
      Download: (call: ServerWritableStream<DownloadRequest__Output, DownloadResponse>) => void this.#download(call),
      DownloadMany: (call: ServerWritableStream<DownloadManyRequest__Output, DownloadManyResponse>) =>
        void this.#downloadMany(call),
      Upload: (call: ServerReadableStream<UploadRequest__Output, UploadResponse>, callback: sendUnaryData<object>) =>
        void this.#answer('Upload', callback, call, (signal) => this.#upload(call, signal)),
      Replicate: (call: ServerUnaryCall<ReplicateRequest__Output, object>, callback: sendUnaryData<object>) =>
        void this.#answer('Replicate', callback, call, (signal) =>
          this.#replicate(call, AbortSignal.any([signal, this.#leaving.signal])),
        ),
      GetInfo: ((_call, callback) => {
        this.#deps.observer.call('GetInfo', 'ok');
        callback(null, { peer: this.#options.peerName, version: VERSION, draining: this.#leaving.signal.aborted });
      }) satisfies handleUnaryCall<object, object>,
    });
    this.#health.addToServer(this.#server);
    createReflection().addToServer(this.#server);
    // What is injected has no TLS any more.
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const count = (reason: RefusalReason) => deps.observer.refusedConnection(reason);
    this.#port = new CallServer(
      {
        onCall: (call) => this.#takeCall(call),
        otherwise: (socket) => injector.injectConnection(socket),
        buffers: deps.buffers,
        identity: deps.identity,
        refusals: new Refusals({ log: deps.log, count, now: () => performance.now() }),
        log: deps.log,
      },
      options.wire,
    );
  }

  /** Streams on which this peer sends chunks to others. */
  get servingCount(): number {
    return this.#sessions.size;
  }

  /** Listens at host:port and returns the port (a free one for port 0). */
  listen(host: string, port: number): Promise<number> {
    return this.#port.listen(host, port);
  }

  /**
   * Leaves in good order: health says NOT_SERVING, no new call is taken, fetches for other peers end,
   * downloads finish, and receivers are served until they have what they want here. One that wants nothing for a second gets a goodbye; so do all, while there is
   * still time to hear it, shortly before `graceMs` are over. What is left then is cut.
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
    const goodbyes = [...this.#sessions].map(async ([session, end]) => {
      await Promise.race([session.quiet(QUIET_MS), lastCall]);
      await session.leave(LEAVING);
      end();
    });
    const shutdown = new Promise<void>((resolve) => {
      // Its error says that calls were cut, which is what the limit is for.
      this.#server.tryShutdown(() => resolve());
    });
    const hungUp = this.#port.leave();
    await Promise.allSettled(goodbyes);
    await Promise.all([shutdown, hungUp]);
    clearTimeout(last);
    clearTimeout(cut);
  }

  #takeCall(call: IncomingCall): void {
    const { Exchange } = this.#deps.peerService.service;
    // Its serialiser takes what is serialised already too; the generated type does not know that.
    const responseSerialize = Exchange.responseSerialize as (answer: ExchangeAnswer) => Buffer;
    if (call.path === Exchange.path) void this.#exchange(overWire(call, { ...Exchange, responseSerialize }));
    else refuseUnknownMethod(call);
  }

  async #exchange(stream: ExchangeStream): Promise<void> {
    let session: ExchangeSession | undefined;
    let fileId: string | undefined;
    const finish = (error?: unknown) => {
      if (session !== undefined) {
        session.close();
        this.#sessions.delete(session);
        this.#deps.observer.serving('exchange', -1);
        session = undefined;
        if (fileId !== undefined) this.#leaveCrowd(fileId, stream);
      }
      this.#note('Exchange', error);
      stream.end(error);
    };
    let isEnded = false;
    const finishOnce = (error?: unknown) => {
      if (isEnded) return;
      isEnded = true;
      finish(error);
    };
    stream.onCancelled((error) => finishOnce(error ?? new ShoalError('cancelled', 'cancelled by the caller')));
    try {
      // Requests are handled one after the other, so that what follows `open` waits until it is answered.
      for await (const request of stream.requests) {
        if (isEnded) return;
        if (session !== undefined) {
          session.handle(request);
          continue;
        }
        if (!request.open) throw new ShoalError('invalid', 'the first request of an exchange must be open');
        const { file, isPublic } = await this.#authorizedFile(stream.authorization, request.open.fileId);
        if (isEnded) return;
        // It came before the doors closed, and nobody would say goodbye to it.
        this.#leaving.signal.throwIfAborted();
        const crowd = this.#joinCrowd(file, request.open.peer, stream);
        fileId = request.open.fileId;
        session = this.#newSession(file, request.open, { stream, sent: crowd.sent });
        this.#sessions.set(session, () => finishOnce());
        this.#deps.observer.serving('exchange', 1);
        session.start(request.open, {
          records: isPublic ? file.records : [],
          peers: someOthers(crowd, request.open.peer),
        });
        this.#deps.noteNeighbour(fileId, request.open.peer);
      }
      finishOnce();
    } catch (error) {
      finishOnce(error);
    }
  }

  #newSession(
    file: StoredFile,
    open: Open__Output,
    { stream, sent }: { readonly stream: ExchangeStream; readonly sent: SentChunks },
  ): ExchangeSession {
    const { observer, buffers } = this.#deps;
    return new ExchangeSession({
      file,
      open,
      sent,
      receiverTold: (chunk) => this.#deps.activeFetch(open.fileId)?.hasTold(open.peer, chunk) ?? false,
      stream: stream.answers,
      buffers,
      observer: {
        sentChunk: (bytes) => observer.sentBytes('exchange', bytes),
        refusedChunk: () => observer.refusedChunk(),
      },
    });
  }

  #joinCrowd(file: StoredFile, peer: string, stream: ExchangeStream): Crowd {
    const { id, chunkCount } = file.manifest;
    const crowd = this.#crowds.get(id) ?? { sent: new SentChunks(chunkCount), receivers: new Map() };
    // Each of them is told of every chunk that comes here: beyond some, others can do that better.
    if (!file.isComplete && crowd.receivers.size >= MOST_RECEIVERS) {
      throw new ShoalError('exhausted', `this peer is still fetching the file and serves ${MOST_RECEIVERS} others`);
    }
    crowd.receivers.set(stream, peer);
    this.#crowds.set(id, crowd);
    return crowd;
  }

  #leaveCrowd(id: string, stream: ExchangeStream): void {
    const crowd = this.#crowds.get(id);
    crowd?.receivers.delete(stream);
    if (crowd?.receivers.size === 0) this.#crowds.delete(id);
  }

  /** Serves a download of either kind, and ends its stream. */
  async #stream<Q, R>(
    method: 'Download' | 'DownloadMany',
    call: ServerWritableStream<Q, R>,
    send: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(new ShoalError('cancelled', 'cancelled by the caller')));
    const { observer } = this.#deps;
    observer.serving('download', 1);
    let failure: unknown;
    try {
      await send(abort.signal);
    } catch (error) {
      failure = error;
    }
    observer.serving('download', -1);
    this.#end(call, method, failure);
  }

  async #download(call: ServerWritableStream<DownloadRequest__Output, DownloadResponse>): Promise<void> {
    const { observer, buffers } = this.#deps;
    await this.#stream('Download', call, async (signal) => {
      const { fileId, offset, length: wanted } = call.request;
      const { file, token } = await this.#authorizedFile(authorizationOf(call.metadata), fileId);
      const { size } = file.manifest;
      if (offset > size) throw new ShoalError('invalid', `offset ${offset} is beyond the file's ${size} bytes`);
      const length = wanted === 0 ? size - offset : Math.min(wanted, size - offset);
      call.write({ header: { fileId, size, offset, length, sha256: file.sha256 ?? '' } });
      const fetch = this.#deps.activeFetch(fileId);
      const refetch = () => this.#deps.refetch(fileId, token);
      // One piece is read while the one before is sent: grpc-js alone would take sixteen, each copied into a message.
      let sent: Promise<void> = Promise.resolve();
      for await (const data of readThrough({ fetch, refetch, buffers }, file, { offset, length }, signal)) {
        await unlessAborted(sent, signal);
        observer.sentBytes('download', data.length);
        sent = new Promise((resolve) => {
          call.write({ data }, () => {
            buffers.give(data);
            resolve();
          });
        });
      }
    });
  }

  async #downloadMany(call: ServerWritableStream<DownloadManyRequest__Output, DownloadManyResponse>): Promise<void> {
    const { observer } = this.#deps;
    await this.#stream('DownloadMany', call, async (signal) => {
      const own = await this.#authorize(authorizationOf(call.metadata));
      await sendSmallFiles(
        call.request,
        {
          fileOf: async ({ fileId, ticket }) => {
            const { claims } = ticket === '' ? own : await this.#authorize(`Bearer ${ticket}`);
            return (await this.#readableFile(claims, fileId)).file;
          },
          send: async (files) => {
            for (const { data } of files) observer.sentBytes('download', data?.length ?? 0);
            if (!call.write({ files })) await drained(call, signal);
          },
        },
        signal,
      );
    });
  }

  async #upload(
    call: ServerReadableStream<UploadRequest__Output, UploadResponse>,
    signal: AbortSignal,
  ): Promise<UploadResponse> {
    const { claims, token } = await this.#authorize(authorizationOf(call.metadata));
    if (claims.act === 'read') {
      throw new ShoalError('denied', 'this ticket is for reading, not for publishing', {
        hint: 'get a publish ticket with POST /api/v1/tickets',
      });
    }
    const messages = (call as AsyncIterable<UploadRequest__Output>)[Symbol.asyncIterator]();
    const first = await messages.next();
    const header = first.done === true ? undefined : first.value.header;
    if (!header) throw new ShoalError('invalid', 'the first request of an upload must be the header');
    if (header.sha256 !== '' && !/^[0-9a-f]{64}$/.test(header.sha256)) {
      throw new ShoalError('invalid', `sha256 '${header.sha256.slice(0, 80)}' is not 64 lower-case hex digits`);
    }
    const { observer } = this.#deps;
    const isChecked = header.size !== undefined || header.sha256 !== '';
    async function* data(): AsyncGenerator<Buffer> {
      for (let item = await messages.next(); item.done !== true; item = await messages.next()) {
        if (item.value.end) {
          if ((await messages.next()).done === true) return;
          throw new ShoalError('invalid', 'an upload went on after it had said that all was sent');
        }
        if (!item.value.data) throw new ShoalError('invalid', 'a second header in one upload');
        const bytes = item.value.data as Buffer;
        observer.receivedBytes(bytes.length);
        yield bytes;
      }
      // A client that died half-closes its stream like one that has finished.
      if (!isChecked)
        throw new ShoalError('invalid', 'the upload ended without saying that all was sent', {
          hint: 'end it with the message `end`, or tell size or sha256 in the header',
        });
    }
    const stored = await this.#deps.upload(header, data(), { claims, ticket: token }, signal);
    return { fileId: stored.id, size: stored.size, sha256: stored.sha256 };
  }

  async #replicate(call: ServerUnaryCall<ReplicateRequest__Output, object>, signal: AbortSignal): Promise<object> {
    const { fileId } = call.request;
    const { claims, token } = await this.#authorize(authorizationOf(call.metadata));
    checkFileId(fileId);
    if (claims.act === 'publish' || (claims.file !== undefined && claims.file !== fileId)) {
      throw new ShoalError('denied', `this ticket is not for file ${fileId}`);
    }
    const { receivedBytes } = await this.#deps.replicate(fileId, token, signal);
    return { bytesReceived: receivedBytes };
  }

  async #authorize(header = ''): Promise<{ readonly claims: TicketClaims; readonly token: string }> {
    const token = /^Bearer (.+)$/i.exec(header)?.[1];
    if (token === undefined) {
      throw new ShoalError('unauthenticated', 'no ticket in the authorization metadata', {
        hint: 'get one from the index with POST /api/v1/locate and send it as "authorization: Bearer TICKET"',
      });
    }
    return { claims: await this.#deps.verifyTicket(token), token };
  }

  /** The file, if the caller may read it. Whoever may not learns nothing about whether it is here. */
  async #authorizedFile(
    authorization: string | undefined,
    id: string,
  ): Promise<{ readonly file: StoredFile; readonly isPublic: boolean; readonly token: string }> {
    const { claims, token } = await this.#authorize(authorization);
    return { ...(await this.#readableFile(claims, id)), token };
  }

  /** As {@link #authorizedFile}, of what a ticket says that was checked. */
  async #readableFile(
    claims: TicketClaims,
    id: string,
  ): Promise<{ readonly file: StoredFile; readonly isPublic: boolean }> {
    checkFileId(id);
    const file = this.#deps.file(id);
    const isPublic = file !== undefined && (await this.#deps.isPublic(file));
    const mayRead = claims.act === 'read' ? claims.file === id : claims.act === 'peer' && isPublic;
    if (claims.act === 'read' && !mayRead) throw new ShoalError('denied', `this ticket is not for file ${id}`);
    if (file === undefined || !mayRead) throw new ShoalError('not_found', `this peer does not serve file ${id}`);
    return { file, isPublic };
  }

  /** Runs a handler that gives one answer. */
  async #answer(
    method: Method,
    callback: sendUnaryData<object>,
    call: { on(event: 'cancelled', listener: () => void): unknown },
    handler: (signal: AbortSignal) => Promise<object>,
  ): Promise<void> {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(new ShoalError('cancelled', 'cancelled by the caller')));
    try {
      const answer = await handler(abort.signal);
      this.#deps.observer.call(method, 'ok');
      callback(null, answer);
    } catch (error) {
      this.#report(method, error);
      callback(toGrpcError(error));
    }
  }

  /** Ends a stream, with the failure if there was one. */
  #end(call: { end(): void; emit(event: 'error', error: object): unknown }, method: Method, failure: unknown): void {
    this.#note(method, failure);
    if (failure === undefined) call.end();
    else call.emit('error', toGrpcError(failure));
  }

  #note(method: Method, failure: unknown): void {
    if (failure === undefined) this.#deps.observer.call(method, 'ok');
    else this.#report(method, failure);
  }

  #report(method: Method, failure: unknown): void {
    const error = toShoalError(failure);
    this.#deps.observer.call(method, error.code);
    if (error.code === 'internal') this.#deps.log.error({ error, method }, 'a call of another peer failed');
  }
}

function authorizationOf(metadata: Metadata): string | undefined {
  return metadata.get('authorization')[0]?.toString();
}

/** The names of those who came last: their neighbours are fewest. */
function someOthers({ receivers }: Crowd, self: string): string[] {
  const names = new Set([...receivers.values()].filter((name) => name !== self));
  return [...names].slice(-PEERS_TOLD);
}

function checkFileId(id: string): void {
  if (!isFileId(id))
    throw new ShoalError('invalid', `'${id.slice(0, 80)}' is not a file id (64 lower-case hex digits)`);
}

async function drained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      call.off('drain', onDrain);
      reject(new ShoalError('cancelled', 'cancelled by the caller'));
    };
    const onDrain = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    call.once('drain', onDrain);
  });
}
