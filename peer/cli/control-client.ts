import type { MethodDefinition } from '@grpc/proto-loader';
import { abortError, GRPC_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import type { ControlServiceDefinition } from '../../proto/gen/shoal/control/v1/ControlService.js';
import type { DrainRequest } from '../../proto/gen/shoal/control/v1/DrainRequest.js';
import type { DrainResponse__Output } from '../../proto/gen/shoal/control/v1/DrainResponse.js';
import type { GetManyResponse__Output } from '../../proto/gen/shoal/control/v1/GetManyResponse.js';
import type { GetRequest } from '../../proto/gen/shoal/control/v1/GetRequest.js';
import type { GetResponse__Output } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import type { PutManyResponse__Output } from '../../proto/gen/shoal/control/v1/PutManyResponse.js';
import type { PutResponse__Output } from '../../proto/gen/shoal/control/v1/PutResponse.js';
import type { VerifyRequest } from '../../proto/gen/shoal/control/v1/VerifyRequest.js';
import type { VerifyResponse__Output } from '../../proto/gen/shoal/control/v1/VerifyResponse.js';
import { StatusError, UNIMPLEMENTED } from '../rich-status.js';
import { beginCall, type ControlCall } from './control-call.js';
import { type ControlMethod, controlMethod } from './control-methods.js';
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

type MethodName = UnaryMethod | 'Get' | 'Verify' | 'Drain' | 'Put' | 'PutMany' | 'GetMany';

interface BeginOptions {
  readonly signal?: AbortSignal;
  readonly reusesBuffers?: boolean;
}

type RequestOf<K extends UnaryMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the request is asked for
  ControlServiceDefinition[K] extends MethodDefinition<infer Request, any, any, any> ? Request : never;
type ResponseOf<K extends UnaryMethod> =
  // biome-ignore lint/suspicious/noExplicitAny: only the response is asked for
  ControlServiceDefinition[K] extends MethodDefinition<any, any, any, infer Response> ? Response : never;

// The daemon may have to ask an index that is slow; who wants less says --timeout.
const UNARY_DEADLINE_MS = 30_000;
// In these the session is not what was refused, and the daemon's own words say what was.
const PASSWORD_METHODS: readonly MethodName[] = ['Register', 'Login', 'ChangePassword'];

/**
 * The daemon beside us, over its control socket. Every failure is a {@link ShoalError}; when `signal` fires, calls end
 * with its reason. Without a session the daemon acts as its own account.
 */
export class ControlClient {
  readonly #options: ControlClientOptions;
  readonly #closing = new AbortController();
  /** Ends every call. */
  readonly #signal: AbortSignal;

  private constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal]);
  }

  /** Throws `unavailable` with a hint when nobody listens on the socket, `denied` when we may not open it. */
  static async connect(options: ControlClientOptions): Promise<ControlClient> {
    await probeControlSocket(options.socketPath, options.signal);
    return new ControlClient(options);
  }

  /** One request, one response, within half a minute. */
  async call<K extends UnaryMethod>(name: K, request: RequestOf<K>): Promise<ResponseOf<K>> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(UNARY_DEADLINE_MS)]);
    let response: ResponseOf<K> | undefined;
    for await (const event of this.#ask<RequestOf<K>, ResponseOf<K>>(name, request, { signal })) response = event;
    if (response === undefined) throw new ShoalError('internal', `the peer ended the call ${name} without an answer`);
    return response;
  }

  /** Fetches; see `Get` in the proto. Leaving the iteration early cancels the fetch. */
  get(request: GetRequest): AsyncGenerator<GetResponse__Output> {
    return this.#ask('Get', request, { reusesBuffers: true });
  }

  /** Verifies; see `Verify` in the proto. */
  verify(request: VerifyRequest): AsyncGenerator<VerifyResponse__Output> {
    return this.#ask('Verify', request);
  }

  /** Drains; see `Drain` in the proto. Leaving the iteration early lets the drain go on. */
  drain(request: DrainRequest): AsyncGenerator<DrainResponse__Output> {
    return this.#ask('Drain', request);
  }

  /** Publishes; see `Put` in the proto. The caller writes the requests. */
  put(): ControlCall<PutResponse__Output> {
    return this.#begin('Put');
  }

  /** Publishes many small files; see `PutMany` in the proto. */
  putMany(): ControlCall<PutManyResponse__Output> {
    return this.#begin('PutMany');
  }

  /** Fetches many small files; see `GetMany` in the proto. */
  getMany(): ControlCall<GetManyResponse__Output> {
    return this.#begin('GetMany');
  }

  /** Ends the calls that are under way. */
  close(): void {
    this.#closing.abort(new ShoalError('cancelled', 'the command is over'));
  }

  #ask<Q, E>(name: MethodName, request: Q, options: BeginOptions = {}): AsyncGenerator<E> {
    const { requests, events } = this.#begin<E>(name, options);
    requests.end(request);
    return events;
  }

  #begin<E>(name: MethodName, { signal = this.#signal, reusesBuffers = false }: BeginOptions = {}): ControlCall<E> {
    const { socketPath } = this.#options;
    const method = methodNamed(name);
    const call = beginCall<E>({ socketPath, method, authorization: this.#authorization, reusesBuffers }, signal);
    return { ...call, events: this.#explained(call.events, { name, signal }) };
  }

  async *#explained<E>(
    events: AsyncGenerator<E>,
    { name, signal }: { readonly name: MethodName; readonly signal: AbortSignal },
  ): AsyncGenerator<E> {
    try {
      yield* events;
    } catch (error) {
      throw signal.aborted ? abortError(signal) : this.#failure(error, name);
    }
  }

  get #authorization(): string | undefined {
    const { session } = this.#options;
    return session === undefined ? undefined : `Bearer ${session.token}`;
  }

  #failure(thrown: unknown, method: MethodName): ShoalError {
    const { session, socketPath } = this.#options;
    const error = toShoalError(thrown);
    // A daemon that is stopped while it works cancels its calls; ours would have been cancelled by the signal.
    if (isBare(error, GRPC_STATUS.unavailable) || isBare(error, GRPC_STATUS.cancelled)) {
      const why = error.cause instanceof Error ? error.cause.message : error.message;
      return new ShoalError('unavailable', `lost the connection to the peer at ${socketPath}: ${why}`, {
        cause: thrown,
        hint: 'see whether it still runs: shoal status',
      });
    }
    if (isBare(error, UNIMPLEMENTED)) {
      return new ShoalError('invalid', 'the peer beside this command is of an older version and cannot do this', {
        cause: thrown,
        hint: 'compare the versions: shoal version, shoal status',
      });
    }
    if (error.code !== 'unauthenticated' || PASSWORD_METHODS.includes(method)) return error;
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

function methodNamed(name: MethodName): ControlMethod {
  const method = controlMethod(name);
  if (method === undefined) throw new ShoalError('internal', `the proto has no method ${name}`);
  return method;
}

/** Whether an error has the status without saying more, which means that it was made by the transport. */
function isBare(error: ShoalError, code: number): boolean {
  const { cause } = error;
  return cause instanceof StatusError ? cause.isBare && cause.code === code : GRPC_STATUS[error.code] === code;
}
