import type { MethodDefinition } from '@grpc/grpc-js';
import type { ShoalError } from '../../common/errors.js';
import type { ExchangeRequest } from '../../proto/gen/shoal/peer/v1/ExchangeRequest.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { CallDialer } from '../wire/call-dialer.js';
import type { ExchangeNews, loadPeerService } from './peer-service.js';

/** What an Exchange tells the fetch that opened it. After `onEnd` nothing more is told. */
export interface ExchangeListener {
  onNews(news: ExchangeNews): void;
  /** `error` is undefined when the other side ended the conversation in good order. */
  onEnd(error: ShoalError | undefined): void;
}

/** One open Exchange. */
export interface ExchangeCall {
  send(request: ExchangeRequest): void;
  /** Ends the conversation from this side, perhaps because nothing is heard of the other; `onEnd` is not called any more. */
  close(why?: 'silent'): void;
}

/** The client side of Exchange, the swarm's bulk data, and of the memory in which it comes. */
export class ExchangeDialer {
  readonly #dialer: CallDialer;
  readonly #buffers: BufferPool;
  readonly #method: MethodDefinition<ExchangeRequest, ExchangeNews>;

  /** The dialer takes its memory from `buffers`. */
  constructor(deps: {
    readonly dialer: CallDialer;
    readonly buffers: BufferPool;
    readonly service: ReturnType<typeof loadPeerService>['service'];
  }) {
    this.#dialer = deps.dialer;
    this.#buffers = deps.buffers;
    this.#method = deps.service.Exchange as unknown as MethodDefinition<ExchangeRequest, ExchangeNews>;
  }

  /** Opens a conversation about one file with the peer at an address (host:port). Send `open` first. */
  open(address: string, ticket: string, listener: ExchangeListener): ExchangeCall {
    const method = this.#method;
    const call = this.#dialer.open(address, {
      path: method.path,
      authorization: `Bearer ${ticket}`,
      listener: {
        onMessage: (message) => listener.onNews(method.responseDeserialize(message)),
        onEnd: (error) => listener.onEnd(error),
      },
    });
    return { send: (request) => call.send(method.requestSerialize(request)), close: (why) => call.close(why) };
  }

  /** To be called when a whole chunk has come that has to wait for the disk: peers send no more than can be kept. */
  keep(parts: readonly Buffer[]): void {
    this.#dialer.hold(bytesOf(parts));
  }

  /** To be called when the bytes of a chunk that was kept are done with: their memory is used again. */
  giveBack(parts: readonly Buffer[]): void {
    this.#dialer.hold(-bytesOf(parts));
    for (const part of parts) this.#buffers.give(part);
  }

  close(): void {
    this.#dialer.close();
  }
}

function bytesOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
