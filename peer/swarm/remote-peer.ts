import { once } from 'node:events';
import {
  type ClientReadableStream,
  connectivityState,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { abortError, ShoalError } from '../../common/errors.js';
import type { DownloadedFile__Output } from '../../proto/gen/shoal/peer/v1/DownloadedFile.js';
import type { DownloadHeader__Output } from '../../proto/gen/shoal/peer/v1/DownloadHeader.js';
import type { DownloadManyResponse__Output } from '../../proto/gen/shoal/peer/v1/DownloadManyResponse.js';
import type { DownloadResponse__Output } from '../../proto/gen/shoal/peer/v1/DownloadResponse.js';
import type { GetInfoResponse__Output } from '../../proto/gen/shoal/peer/v1/GetInfoResponse.js';
import type { ReplicateResponse__Output } from '../../proto/gen/shoal/peer/v1/ReplicateResponse.js';
import type { UploadHeader } from '../../proto/gen/shoal/peer/v1/UploadHeader.js';
import type { UploadRequest } from '../../proto/gen/shoal/peer/v1/UploadRequest.js';
import type { UploadResponse__Output } from '../../proto/gen/shoal/peer/v1/UploadResponse.js';
import { fromGrpcError } from '../grpc.js';
import { explainCall } from '../tls/tls-trouble.js';
import type { ChannelPool } from './channel-pool.js';
import type { loadPeerService } from './peer-service.js';

/** How long a small question to a peer may take, in milliseconds. */
const UNARY_DEADLINE_MS = 5_000;

/** What a peer answered about itself, and how long it took. */
export interface PeerInfo {
  readonly peer: string;
  readonly version: string;
  readonly draining: boolean;
  /** The first round trip, connection included, in milliseconds. */
  readonly connectMs: number;
  /** A second one on the open connection. */
  readonly roundTripMs: number;
}

/**
 * The client side of the calls that one peer makes to another by grpc-js: those that are small, or that programs of any
 * kind make. Exchange has its own: see exchange-dialer.ts.
 */
export class RemotePeers {
  readonly #pool: ChannelPool;
  readonly #service: ReturnType<typeof loadPeerService>['service'];

  constructor(deps: {
    readonly pool: ChannelPool;
    readonly service: ReturnType<typeof loadPeerService>['service'];
  }) {
    this.#pool = deps.pool;
    this.#service = deps.service;
  }

  /** Asks a peer who it is, twice. */
  async info(address: string, signal: AbortSignal): Promise<PeerInfo> {
    const begin = performance.now();
    const answer = await this.#unary<object, GetInfoResponse__Output>('GetInfo', address, {}, { signal });
    const connected = performance.now();
    await this.#unary('GetInfo', address, {}, { signal });
    const { peer, version, draining } = answer;
    return { peer, version, draining, connectMs: connected - begin, roundTripMs: performance.now() - connected };
  }

  /**
   * Asks a peer to fetch a file and keep it; resolves when it has all of it. Rejects with `timeout` when it is not reached
   * within `connectMs`, if that is given.
   */
  async replicate(
    address: string,
    request: { readonly id: string; readonly ticket: string; readonly connectMs?: number | undefined },
    signal: AbortSignal,
  ): Promise<{ readonly bytesReceived: number }> {
    const answer = await this.#unary<object, ReplicateResponse__Output>(
      'Replicate',
      address,
      { fileId: request.id },
      { signal, ticket: request.ticket, deadlineMs: undefined, connectMs: request.connectMs },
    );
    return { bytesReceived: answer.bytesReceived };
  }

  /** Streams a file to a peer, which stores and publishes it for the user of the ticket. */
  async upload(
    address: string,
    request: { readonly ticket: string; readonly header: UploadHeader; readonly data: AsyncIterable<Buffer> },
    signal: AbortSignal,
  ): Promise<{ readonly fileId: string; readonly size: number; readonly sha256: string }> {
    const { client, release } = this.#pool.use(address);
    const method = this.#service.Upload as unknown as MethodDefinition<UploadRequest, UploadResponse__Output>;
    let settle: (error: ServiceError | null, answer?: UploadResponse__Output) => void = () => undefined;
    const answered = new Promise<UploadResponse__Output>((resolve, reject) => {
      settle = (error, answer) => {
        release(error ?? undefined);
        if (error === null && answer !== undefined) resolve(answer);
        else reject(explainCall(fromGrpcError(error), address));
      };
    });
    const call = client.makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      bearer(request.ticket),
      (error, answer) => settle(error, answer),
    );
    // The other side may refuse before all is sent: then writing stops, and its answer says why.
    let isAnswered = false;
    const done = answered.finally(() => {
      isAnswered = true;
    });
    const send = async () => {
      call.write({ header: request.header });
      for await (const data of request.data) {
        if (isAnswered) return;
        if (!call.write({ data })) await Promise.race([once(call, 'drain', { signal }), done]);
      }
      call.write({ end: {} });
      call.end();
    };
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) throw abortError(signal);
      await Promise.all([send(), done]);
      return await done;
    } catch (error) {
      call.cancel();
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A file or a range of it as a plain stream; `length` 0 means to the end. The header comes before the bytes. */
  async download(
    address: string,
    request: { readonly ticket: string; readonly id: string; readonly offset?: number; readonly length?: number },
    signal: AbortSignal,
  ): Promise<{ readonly header: DownloadHeader__Output; readonly data: AsyncIterable<Buffer> }> {
    const { client, release } = this.#pool.use(address);
    const method = this.#service.Download as unknown as MethodDefinition<object, DownloadResponse__Output>;
    const call: ClientReadableStream<DownloadResponse__Output> = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      { fileId: request.id, offset: request.offset ?? 0, length: request.length ?? 0 },
      bearer(request.ticket),
    );
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    call.on('error', (error: ServiceError) => release(error));
    call.on('close', () => {
      release();
      signal.removeEventListener('abort', onAbort);
    });
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<DownloadResponse__Output>;
    const next = async () => {
      try {
        return await messages.next();
      } catch (error) {
        throw signal.aborted ? abortError(signal) : explainCall(fromGrpcError(error), address);
      }
    };
    const first = await next();
    const header = first.done === true ? undefined : first.value.header;
    if (header === undefined || header === null) {
      call.cancel();
      throw new ShoalError('internal', `${address} answered a download without a header`);
    }
    async function* data(): AsyncGenerator<Buffer> {
      try {
        for (let item = await next(); item.done !== true; item = await next()) {
          if (item.value.data) yield item.value.data as Buffer;
        }
      } finally {
        call.cancel();
      }
    }
    return { header, data: data() };
  }

  /**
   * Whole small files; each is told once, with its bytes (not checked) or why there are none. Rejects when the call fails,
   * or when nothing comes for `silentMs`.
   */
  async downloadMany(
    address: string,
    request: {
      readonly ticket: string;
      readonly files: readonly { readonly fileId: string; readonly ticket: string }[];
      readonly silentMs: number;
    },
    onFile: (file: DownloadedFile__Output) => void,
  ): Promise<void> {
    const { client, release } = this.#pool.use(address);
    const method = this.#service.DownloadMany as unknown as MethodDefinition<object, DownloadManyResponse__Output>;
    const call: ClientReadableStream<DownloadManyResponse__Output> = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      { files: request.files },
      bearer(request.ticket),
    );
    const watchdog = setTimeout(() => call.cancel(), request.silentMs);
    try {
      for await (const { files } of call as AsyncIterable<DownloadManyResponse__Output>) {
        watchdog.refresh();
        for (const file of files) onFile(file);
      }
      release();
    } catch (error) {
      release(error as ServiceError);
      throw fromGrpcError(error);
    } finally {
      clearTimeout(watchdog);
    }
  }

  close(): void {
    this.#pool.close();
  }

  async #unary<Req, Res>(
    name: 'GetInfo' | 'Replicate',
    address: string,
    request: Req,
    options: {
      readonly signal: AbortSignal;
      readonly ticket?: string;
      readonly deadlineMs?: number | undefined;
      readonly connectMs?: number | undefined;
    },
  ): Promise<Res> {
    const { client, release } = this.#pool.use(address);
    const method = this.#service[name] as unknown as MethodDefinition<Req, Res>;
    const { signal, connectMs } = options;
    const deadlineMs = 'deadlineMs' in options ? options.deadlineMs : UNARY_DEADLINE_MS;
    return await new Promise<Res>((resolve, reject) => {
      if (signal.aborted) {
        release();
        reject(abortError(signal));
        return;
      }
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        options.ticket === undefined ? new Metadata() : bearer(options.ticket),
        deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
        (error, answer) => {
          signal.removeEventListener('abort', onAbort);
          clearTimeout(connecting);
          // Not to be reached is a failure of the channel, though it was we who gave up.
          release(error === null ? undefined : isUnreached ? { ...error, code: status.UNAVAILABLE } : error);
          if (error === null && answer !== undefined) resolve(answer);
          else if (isUnreached) reject(unreached(address, connectMs ?? 0));
          else reject(signal.aborted ? abortError(signal) : explainCall(fromGrpcError(error), address));
        },
      );
      const onAbort = () => call.cancel();
      signal.addEventListener('abort', onAbort, { once: true });
      let isUnreached = false;
      const giveUpUnreached = () => {
        isUnreached = client.getChannel().getConnectivityState(false) !== connectivityState.READY;
        if (isUnreached) call.cancel();
      };
      const connecting = connectMs === undefined ? undefined : setTimeout(giveUpUnreached, connectMs);
    });
  }
}

function unreached(address: string, connectMs: number): ShoalError {
  return new ShoalError('timeout', `${address} was not reached within ${connectMs / 1000} s`);
}

function bearer(ticket: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${ticket}`);
  return metadata;
}
