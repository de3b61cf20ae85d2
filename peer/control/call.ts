import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { abortError, ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { toGrpcError } from '../grpc.js';
import type { ControlMethod, PeerMetrics } from '../metrics.js';
import { type EventCall, overGrpc } from './event-call.js';

/** These work without a login where one is required: they lead to one, or tell why it does not work. */
const OPEN_METHODS: readonly ControlMethod[] = ['Register', 'Login', 'Status', 'Diagnose'];
const PROGRESS_MS = 100;

/** Who calls, and until when they are interested. */
export interface Caller {
  /** Session of the user; undefined means the peer's own account. */
  readonly onBehalf: string | undefined;
  /** Fires when the call was cancelled or its connection is gone. */
  readonly signal: AbortSignal;
}

type Source = Pick<EventCall<never>, 'authorization' | 'onCancelled'>;

/** Where the events of a streaming call go. */
export interface EventSink<E> {
  /**
   * Resolves when there is room for more; throws when the call is over. Bytes in it must not change until `onSent` is called,
   * which may never happen to what a call that breaks leaves behind.
   */
  send(event: E, onSent?: () => void): Promise<void>;
  /** Sends an event that only tells how far it is: at most ten a second, and none while the caller reads slowly. */
  sendProgress(event: E): void;
}

/**
 * The edge of the control server: turns plain functions into handlers of grpc-js. Failures leave as gRPC statuses with our
 * code and hint, a cancelled call fires the caller's signal, and every call is counted.
 */
export class CallEdge {
  readonly #deps: { readonly metrics: PeerMetrics; readonly log: Logger };
  readonly #isLoginRequired: boolean;

  constructor(
    deps: { readonly metrics: PeerMetrics; readonly log: Logger },
    options: { readonly isLoginRequired: boolean },
  ) {
    this.#deps = deps;
    this.#isLoginRequired = options.isLoginRequired;
  }

  /** A handler of one request and one answer. */
  unary<Q, R>(method: ControlMethod, handle: (request: Q, caller: Caller) => Promise<R>): handleUnaryCall<Q, R> {
    return (call, callback) => {
      void this.#run(method, sourceOf(call), (caller) => handle(call.request, caller)).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toGrpcError(error)),
      );
    };
  }

  /** A handler that answers with events. */
  events<Q, E>(
    method: ControlMethod,
    handle: (request: Q, caller: Caller, sink: EventSink<E>) => Promise<void>,
  ): handleServerStreamingCall<Q, E> {
    const answer = this.eventHandler(method, handle);
    return (call) => answer(call.request, overGrpc(call));
  }

  /** As {@link events}, for calls that come in more than one way. */
  eventHandler<Q, E>(
    method: ControlMethod,
    handle: (request: Q, caller: Caller, sink: EventSink<E>) => Promise<void>,
  ): (request: Q, call: EventCall<E>) => void {
    return (request, call) => {
      const work = (caller: Caller) => handle(request, caller, sinkOf(call, caller.signal));
      void this.#run(method, call, work).then(
        () => call.end(),
        (error: unknown) => call.end(error),
      );
    };
  }

  /** A handler of requests that come one after the other, answered with events. */
  conversation<Q, E>(
    method: ControlMethod,
    handle: (requests: AsyncIterator<Q>, caller: Caller, sink: EventSink<E>) => Promise<void>,
  ): handleBidiStreamingCall<Q, E> {
    return (call) => {
      // Without the option, reading no further would destroy the call together with the answer.
      const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterator<Q>;
      const answers = overGrpc(call);
      const work = (caller: Caller) => handle(requests, caller, sinkOf(answers, caller.signal));
      void this.#run(method, answers, work).then(
        () => answers.end(),
        (error: unknown) => answers.end(error),
      );
    };
  }

  async #run<R>(method: ControlMethod, call: Source, handle: (caller: Caller) => Promise<R>): Promise<R> {
    const abort = new AbortController();
    call.onCancelled(() => abort.abort(new ShoalError('cancelled', 'cancelled by the caller')));
    try {
      const onBehalf = sessionOf(call.authorization);
      if (onBehalf === undefined && this.#isLoginRequired && !OPEN_METHODS.includes(method)) {
        throw new ShoalError('unauthenticated', 'this peer requires a login', { hint: 'shoal login USER' });
      }
      const response = await handle({ onBehalf, signal: abort.signal });
      this.#deps.metrics.controlCalls.inc({ method, code: 'ok' });
      return response;
    } catch (thrown) {
      const error = abort.signal.aborted ? abortError(abort.signal) : toShoalError(thrown);
      this.#deps.metrics.controlCalls.inc({ method, code: error.code });
      if (error.code === 'internal') this.#deps.log.error({ method, error }, 'a call of the command line failed');
      throw error;
    }
  }
}

function sourceOf(call: {
  readonly metadata: Metadata;
  on(event: 'cancelled', listener: () => void): unknown;
}): Source {
  const authorization = call.metadata.get('authorization')[0]?.toString();
  return { authorization, onCancelled: (listener) => call.on('cancelled', listener) };
}

function sessionOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const session = /^Bearer (\S+)$/i.exec(value)?.[1];
  if (session !== undefined) return session;
  throw new ShoalError('unauthenticated', 'the authorization metadata is not of the form: Bearer SESSION');
}

function sinkOf<E>(call: EventCall<E>, signal: AbortSignal): EventSink<E> {
  let progressAtMs = Number.NEGATIVE_INFINITY;
  return {
    async send(event, onSent) {
      if (signal.aborted) throw abortError(signal);
      if (!call.write(event, onSent)) await call.onceDrained(signal);
    },
    sendProgress(event) {
      const now = performance.now();
      if (signal.aborted || call.isFull || now - progressAtMs < PROGRESS_MS) return;
      progressAtMs = now;
      call.write(event);
    },
  };
}
