import {
  type CallOptions,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { abortError, GRPC_STATUS, ShoalError } from '../../common/errors.js';
import type { ControlServiceDefinition } from '../../proto/gen/shoal/control/v1/ControlService.js';
import type { DrainRequest } from '../../proto/gen/shoal/control/v1/DrainRequest.js';
import type { DrainResponse__Output } from '../../proto/gen/shoal/control/v1/DrainResponse.js';
import type { GetManyRequest } from '../../proto/gen/shoal/control/v1/GetManyRequest.js';
import type { GetManyResponse__Output } from '../../proto/gen/shoal/control/v1/GetManyResponse.js';
import type { GetRequest } from '../../proto/gen/shoal/control/v1/GetRequest.js';
import type { GetResponse__Output } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import type { PutManyRequest } from '../../proto/gen/shoal/control/v1/PutManyRequest.js';
import type { PutManyResponse__Output } from '../../proto/gen/shoal/control/v1/PutManyResponse.js';
import type { PutRequest } from '../../proto/gen/shoal/control/v1/PutRequest.js';
import type { PutResponse__Output } from '../../proto/gen/shoal/control/v1/PutResponse.js';
import type { VerifyRequest } from '../../proto/gen/shoal/control/v1/VerifyRequest.js';
import type { VerifyResponse__Output } from '../../proto/gen/shoal/control/v1/VerifyResponse.js';
import { CHANNEL_OPTIONS, CONTROL_PROTO, fromGrpcError, loadProto } from '../grpc.js';
import { probeControlSocket } from './control-socket.js';
import type { StoredSession } from './session-file.js';

type UnaryMethod =
  | 'List'
  | 'Find'
  | 'Stat'
  | 'Remove'
  | 'Tag'
  | 'Share'
  | 'ListPeers'
  | 'PingPeer'
  | 'Status'
  | 'Diagnose'
  | 'Register'
  | 'Login'
  | 'Logout'
  | 'WhoAmI'
  | 'ChangePassword';

// biome-ignore lint/suspicious/noExplicitAny: matches any method, whatever its messages
type AnyMethod = MethodDefinition<any, any, any, any>;
type RequestOf<K extends UnaryMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the request is asked for
  ControlServiceDefinition[K] extends MethodDefinition<infer Request, any, any, any> ? Request : never;
type ResponseOf<K extends UnaryMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the response is asked for
  ControlServiceDefinition[K] extends MethodDefinition<any, any, any, infer Response> ? Response : never;

/** A conversation under way. Events come in order; the iteration throws a {@link ShoalError} when the call fails. */
export interface Conversation<Q, E> {
  readonly events: AsyncIterable<E>;
  readonly requests: ClientDuplexStream<Q, E>;
}

// The daemon may have to ask an index that is slow; who wants less says --timeout.
const UNARY_DEADLINE_MS = 30_000;
// With the default of 64 KiB a stream of many files waits for the daemon after every few frames.
const OPTIONS: ChannelOptions = { ...CHANNEL_OPTIONS, 'grpc-node.flow_control_window': 8 * 1024 * 1024 };
const RICH_STATUS_KEY = 'grpc-status-details-bin';
// In these the session is not what was refused, and the daemon's own words say what was.
const PASSWORD_METHODS: readonly UnaryMethod[] = ['Register', 'Login', 'ChangePassword'];

/**
 * The daemon beside us, over its control socket. Every failure is a {@link ShoalError}; when `signal` fires, calls end
 * with its reason. Without a session the daemon acts as its own account.
 */
export class ControlClient {
  readonly #client: Client;
  readonly #methods: Record<string, AnyMethod>;
  readonly #options: ControlClientOptions;

  private constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#methods = loadProto(CONTROL_PROTO)['shoal.control.v1.ControlService'] as Record<string, AnyMethod>;
    this.#client = new Client(`unix:${options.socketPath}`, credentials.createInsecure(), OPTIONS);
  }

  /** Throws `unavailable` with a hint when nobody listens on the socket, `denied` when we may not open it. */
  static async connect(options: ControlClientOptions): Promise<ControlClient> {
    await probeControlSocket(options.socketPath, options.signal);
    return new ControlClient(options);
  }

  /** One request, one response, within half a minute. */
  call<K extends UnaryMethod>(name: K, request: RequestOf<K>): Promise<ResponseOf<K>> {
    const { signal } = this.#options;
    const method = this.#method(name);
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal));
        return;
      }
      const options: CallOptions = { deadline: Date.now() + UNARY_DEADLINE_MS };
      const call = this.#client.makeUnaryRequest<RequestOf<K>, ResponseOf<K>>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata(),
        options,
        (error, response) => {
          signal.removeEventListener('abort', cancel);
          if (error === null && response !== undefined) resolve(response);
          else reject(this.#failure(error, name));
        },
      );
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  /**
   * Fetches; see `Get` in the proto. Bytes are good until the next event is asked for. Leaving the iteration early cancels
   * the fetch.
   */
  async *get(request: GetRequest): AsyncGenerator<GetResponse__Output> {
    const { bulkEvents } = await import('./bulk-call.js');
    const { path, requestSerialize, responseDeserialize } = this.#method('Get');
    const { socketPath, signal } = this.#options;
    const call = { socketPath, path, request: requestSerialize(request), authorization: this.#authorization };
    try {
      yield* bulkEvents<GetResponse__Output>({ ...call, deserialize: responseDeserialize }, signal);
    } catch (error) {
      throw this.#failure(error, undefined);
    }
  }

  /** Verifies; see `Verify` in the proto. */
  verify(request: VerifyRequest): AsyncIterable<VerifyResponse__Output> {
    return this.#serverStream<VerifyRequest, VerifyResponse__Output>('Verify', request);
  }

  /** Drains; see `Drain` in the proto. Leaving the iteration early lets the drain go on. */
  drain(request: DrainRequest): AsyncIterable<DrainResponse__Output> {
    return this.#serverStream<DrainRequest, DrainResponse__Output>('Drain', request);
  }

  /** Publishes; see `Put` in the proto. The caller writes the requests. Leaving the iteration early cancels the put. */
  put(): Conversation<PutRequest, PutResponse__Output> {
    return this.#conversation('Put');
  }

  /** Publishes many small files; see `PutMany` in the proto. */
  putMany(): Conversation<PutManyRequest, PutManyResponse__Output> {
    return this.#conversation('PutMany');
  }

  /** Fetches many small files; see `GetMany` in the proto. */
  getMany(): Conversation<GetManyRequest, GetManyResponse__Output> {
    return this.#conversation('GetMany');
  }

  close(): void {
    this.#client.close();
  }

  #conversation<Q, E>(name: 'Put' | 'PutMany' | 'GetMany'): Conversation<Q, E> {
    const { path, requestSerialize, responseDeserialize } = this.#method(name);
    const requests = this.#client.makeBidiStreamRequest<Q, E>(
      path,
      requestSerialize,
      responseDeserialize,
      this.#metadata(),
    );
    return { requests, events: this.#events(requests) };
  }

  #serverStream<Request, Event>(name: 'Verify' | 'Drain', request: Request): AsyncIterable<Event> {
    const method = this.#method(name);
    return this.#events(
      this.#client.makeServerStreamRequest<Request, Event>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata(),
      ),
    );
  }

  #events<Q, Event>(call: ClientReadableStream<Event> | ClientDuplexStream<Q, Event>): AsyncGenerator<Event> {
    // The iteration throws what happens while it lasts. A call that is cancelled because the iteration was left fails
    // afterwards, and that is news to nobody.
    call.on('error', () => undefined);
    return this.#iterate(call);
  }

  async *#iterate<Q, Event>(call: ClientReadableStream<Event> | ClientDuplexStream<Q, Event>): AsyncGenerator<Event> {
    const { signal } = this.#options;
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      yield* call as AsyncIterable<Event>;
    } catch (error) {
      throw this.#failure(error, undefined);
    } finally {
      signal.removeEventListener('abort', cancel);
      // After the end this does nothing.
      call.cancel();
    }
  }

  #method(name: string): AnyMethod {
    const method = this.#methods[name];
    if (method === undefined) throw new ShoalError('internal', `the proto has no method ${name}`);
    return method;
  }

  get #authorization(): string | undefined {
    const { session } = this.#options;
    return session === undefined ? undefined : `Bearer ${session.token}`;
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    const authorization = this.#authorization;
    if (authorization !== undefined) metadata.set('authorization', authorization);
    return metadata;
  }

  #failure(thrown: unknown, method: UnaryMethod | undefined): ShoalError {
    const { signal, session, socketPath } = this.#options;
    if (signal.aborted) return abortError(signal);
    const error = fromGrpcError(thrown);
    // A daemon that is stopped while it works cancels its calls; ours would have been cancelled by the signal.
    if (isBare(thrown, status.UNAVAILABLE) || isBare(thrown, status.CANCELLED)) {
      const why = thrown instanceof ShoalError && thrown.cause instanceof Error ? thrown.cause.message : error.message;
      return new ShoalError('unavailable', `lost the connection to the peer at ${socketPath}: ${why}`, {
        cause: thrown,
        hint: 'see whether it still runs: shoal status',
      });
    }
    if (isBare(thrown, status.UNIMPLEMENTED)) {
      return new ShoalError('invalid', 'the peer beside this command is of an older version and cannot do this', {
        cause: thrown,
        hint: 'compare the versions: shoal version, shoal status',
      });
    }
    if (error.code !== 'unauthenticated' || (method !== undefined && PASSWORD_METHODS.includes(method))) return error;
    return new ShoalError('unauthenticated', error.message, {
      cause: thrown,
      hint: `shoal login ${session?.username ?? 'USER'}`,
    });
  }
}

/** Where the daemon listens and who calls. */
export interface ControlClientOptions {
  /** Absolute path of the control socket. */
  readonly socketPath: string;
  readonly session: StoredSession | undefined;
  /** Ends every call. */
  readonly signal: AbortSignal;
}

/** Whether an error has the status without saying more, which means that it was made by the transport. */
function isBare(thrown: unknown, code: number): boolean {
  if (!(thrown instanceof Error)) return false;
  // One that wire/ made of a status that came keeps it as its cause.
  const origin = thrown instanceof ShoalError && isStatus(thrown.cause) ? thrown.cause : thrown;
  if (origin instanceof ShoalError) return GRPC_STATUS[origin.code] === code;
  const { code: found, metadata } = origin as ServiceError;
  return found === code && (metadata?.get(RICH_STATUS_KEY).length ?? 0) === 0;
}

function isStatus(cause: unknown): cause is ServiceError {
  return cause instanceof Error && typeof (cause as Partial<ServiceError>).code === 'number';
}
