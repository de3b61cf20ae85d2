import type { sendUnaryData } from '@grpc/grpc-js';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import { toGrpcError } from '../grpc.js';
import type { PeerMethod, TransferObserver } from './transfer-observer.js';

/** A call of grpc-js, as far as its caller may give it up. */
interface Cancellable {
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Runs the handlers of calls, and sees to it that each call ends: counted, and with a status that says what failed. */
export class CallOutcomes {
  readonly #observer: Pick<TransferObserver, 'call'>;
  readonly #log: Logger;

  constructor(deps: { readonly observer: Pick<TransferObserver, 'call'>; readonly log: Logger }) {
    this.#observer = deps.observer;
    this.#log = deps.log;
  }

  /** A call ended, with a failure or without. What is our own fault is logged. */
  note(method: PeerMethod, failure: unknown): void {
    if (failure === undefined) {
      this.#observer.call(method, 'ok');
      return;
    }
    const error = toShoalError(failure);
    this.#observer.call(method, error.code);
    if (error.code === 'internal') this.#log.error({ error, method }, 'a call of another peer failed');
  }

  /** Runs a handler that gives one answer. Its signal fires when the caller gives up. */
  async answer(
    method: PeerMethod,
    { call, callback }: { readonly call: Cancellable; readonly callback: sendUnaryData<object> },
    handler: (signal: AbortSignal) => Promise<object>,
  ): Promise<void> {
    try {
      const answer = await handler(signalOf(call));
      this.note(method, undefined);
      callback(null, answer);
    } catch (error) {
      this.note(method, error);
      callback(toGrpcError(error));
    }
  }

  /** Runs a handler that writes a stream of answers, and ends the stream. Its signal fires when the caller gives up. */
  async stream(
    method: PeerMethod,
    call: Cancellable & { end(): void; emit(event: 'error', error: object): unknown },
    handler: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    let failure: unknown;
    try {
      await handler(signalOf(call));
    } catch (error) {
      failure = error;
    }
    this.note(method, failure);
    if (failure === undefined) call.end();
    else call.emit('error', toGrpcError(failure));
  }
}

function signalOf(call: Cancellable): AbortSignal {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort(new ShoalError('cancelled', 'cancelled by the caller')));
  return abort.signal;
}
