import { abortError, ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { ControlMethod, PeerMetrics } from '../metrics.js';
import type { EventCall, ServeCall } from './event-call.js';

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
 * The edge of the control server: turns plain functions into what serves calls. A failure ends its call as a ShoalError, a
 * cancelled call fires the caller's signal, and every call is counted.
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

  /** Serves a method of one request and one answer. */
  unary<Q, R>(method: ControlMethod, handle: (request: Q, caller: Caller) => Promise<R>): ServeCall<Q, R> {
    return this.events<Q, R>(method, async (request, caller, sink) => sink.send(await handle(request, caller)));
  }

  /** Serves a method of one request that is answered with events. */
  events<Q, E>(
    method: ControlMethod,
    handle: (request: Q, caller: Caller, sink: EventSink<E>) => Promise<void>,
  ): ServeCall<Q, E> {
    return this.conversation<Q, E>(method, async (requests, caller, sink) => {
      const { done, value } = await requests.next();
      if (done === true) throw new ShoalError('invalid', 'a call without a request');
      await handle(value, caller, sink);
    });
  }

  /** Serves a method of requests that come one after the other, answered with events. */
  conversation<Q, E>(
    method: ControlMethod,
    handle: (requests: AsyncIterator<Q>, caller: Caller, sink: EventSink<E>) => Promise<void>,
  ): ServeCall<Q, E> {
    return (requests, call) => {
      void this.#run(method, call, (caller) => handle(requests, caller, sinkOf(call, caller.signal))).then(
        () => call.end(),
        (error: unknown) => call.end(error),
      );
    };
  }

  async #run<E>(method: ControlMethod, call: EventCall<E>, handle: (caller: Caller) => Promise<void>): Promise<void> {
    const abort = new AbortController();
    call.onCancelled(() => abort.abort(new ShoalError('cancelled', 'cancelled by the caller')));
    try {
      const onBehalf = sessionOf(call.authorization);
      if (onBehalf === undefined && this.#isLoginRequired && !OPEN_METHODS.includes(method)) {
        throw new ShoalError('unauthenticated', 'this peer requires a login', { hint: 'shoal login USER' });
      }
      await handle({ onBehalf, signal: abort.signal });
      this.#deps.metrics.controlCalls.inc({ method, code: 'ok' });
    } catch (thrown) {
      const error = abort.signal.aborted ? abortError(abort.signal) : toShoalError(thrown);
      this.#deps.metrics.controlCalls.inc({ method, code: error.code });
      if (error.code === 'internal') this.#deps.log.error({ method, error }, 'a call of the command line failed');
      throw error;
    }
  }
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
