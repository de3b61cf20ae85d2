import { connect as connectTcp, type Socket } from 'node:net';
import { ShoalError } from '../../common/errors.js';
import type { BufferPool } from './buffer-pool.js';
import { Http2Code } from './frames.js';
import { MessageReader, messagePrefix } from './grpc-messages.js';
import { errorOfEnd, errorOfHeaders } from './grpc-status.js';
import { type Headers, headerValue } from './hpack.js';
import { Http2Connection, type Http2Options } from './http2-connection.js';

/*
 * Opens gRPC calls whose answers are large, to peers of ours and to any other gRPC server. One connection an address,
 * shared by all calls to it; a name is looked up anew for each connection, so a pod that came back is found.
 */

const CONNECT_MS = 10_000;
/** One buffer takes what every socket read brings; its contents are handed on before the next. */
const READ_BYTES = 512 * 1024;

/** What a call tells. After `onEnd` nothing more is told. */
export interface CallListener {
  /** A message of the other side. It lies in a buffer of the pool: give it back when it is done with. */
  onMessage(message: Buffer): void;
  /** `error` is undefined when the other side ended the call in good order. */
  onEnd(error: ShoalError | undefined): void;
}

/** A call under way. */
export interface OutgoingCall {
  send(message: Buffer): void;
  /** Ends the call; `onEnd` is not called any more. Who had waited in vain says so: the next call connects anew. */
  close(why?: 'silent'): void;
}

/** Settings of a dialer. */
export interface CallDialerOptions extends Http2Options {
  /** Unused connections kept open. */
  readonly maxIdle: number;
  /** Largest message that is taken, in bytes. */
  readonly maxMessageBytes: number;
}

interface Link {
  readonly connection: Http2Connection;
  /** Bytes that came on it so far. */
  receivedBytes: number;
  lastUsed: number;
}

/** See the head of this file. */
export class CallDialer {
  readonly #buffers: BufferPool;
  readonly #options: CallDialerOptions;
  readonly #links = new Map<string, Link>();
  readonly #leaving = new Set<Http2Connection>();
  #uses = 0;

  constructor(deps: { readonly buffers: BufferPool }, options: CallDialerOptions) {
    this.#buffers = deps.buffers;
    this.#options = options;
  }

  /** Calls `path` at host:port. A server that cannot be reached is told by `onEnd` with `unavailable`. */
  open(
    address: string,
    call: { readonly path: string; readonly authorization: string; readonly listener: CallListener },
  ): OutgoingCall {
    const link = this.#linkTo(address);
    const heardBefore = link.receivedBytes;
    const { listener } = call;
    let isOver = false;
    let answer: Headers | undefined;
    const finish = (error: ShoalError | undefined) => {
      if (isOver) return;
      isOver = true;
      stream.reset(Http2Code.noError);
      this.#closeIdle();
      listener.onEnd(error);
    };
    const messages = new MessageReader(
      {
        allocate: (bytes) => this.#buffers.take(bytes),
        onMessage: (message) => {
          if (!isOver) listener.onMessage(message);
        },
      },
      { maxBytes: this.#options.maxMessageBytes },
    );
    const stream = link.connection.open(requestHeaders(address, call), {
      onHeaders: (headers) => {
        answer = headers;
      },
      onData: (bytes) => {
        try {
          if (answer === undefined || headerValue(answer, ':status') !== '200') return;
          if (!isOver) messages.push(bytes);
        } catch (error) {
          finish(error instanceof ShoalError ? error : new ShoalError('internal', 'a call failed', { cause: error }));
        }
      },
      onEnd: () => {
        const isCut = !messages.isBetweenMessages;
        finish(isCut ? new ShoalError('internal', 'the answer ended within a message') : errorOfHeaders(answer ?? []));
      },
      onClose: (early) => finish(early === undefined ? undefined : errorOfEnd(early, address)),
    });
    return {
      send: (message) => {
        if (isOver) return;
        stream.sendData(Buffer.concat([messagePrefix(message.length), message]));
      },
      close: (why) => {
        if (isOver) return;
        isOver = true;
        stream.reset(Http2Code.cancel);
        // Nobody answers there: who comes next had better connect anew.
        if (why === 'silent' || link.receivedBytes === heardBefore) this.#drop(address, link);
        this.#closeIdle();
      },
    };
  }

  /** Ends all calls, with `unavailable`. */
  close(): void {
    const connections = [...[...this.#links.values()].map((link) => link.connection), ...this.#leaving];
    this.#links.clear();
    for (const connection of connections) connection.destroy(new Error('this peer is closing'));
  }

  #linkTo(address: string): Link {
    const known = this.#links.get(address);
    const link = known?.connection.isUsable === true ? known : this.#connect(address);
    this.#uses += 1;
    link.lastUsed = this.#uses;
    return link;
  }

  #connect(address: string): Link {
    const read = Buffer.allocUnsafeSlow(READ_BYTES);
    let link: Link | undefined;
    const socket: Socket = connectTcp({
      ...splitAddress(address),
      onread: {
        buffer: read,
        callback: (bytes) => {
          if (link === undefined) return true;
          link.receivedBytes += bytes;
          link.connection.receive(read.subarray(0, bytes));
          return true;
        },
      },
    });
    const timer = setTimeout(() => {
      connection.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`));
    }, CONNECT_MS);
    socket.once('connect', () => clearTimeout(timer));
    const connection = new Http2Connection(
      {
        socket,
        listener: {
          onClose: () => {
            clearTimeout(timer);
            this.#leaving.delete(connection);
            if (this.#links.get(address) === link) this.#links.delete(address);
          },
        },
      },
      { ...this.#options, role: 'client' },
    );
    link = { connection, receivedBytes: 0, lastUsed: 0 };
    const before = this.#links.get(address);
    if (before !== undefined) this.#drop(address, before);
    this.#links.set(address, link);
    return link;
  }

  /** No new call goes over it; it closes when the calls on it are over. */
  #drop(address: string, { connection }: Link): void {
    if (this.#links.get(address)?.connection === connection) this.#links.delete(address);
    this.#leaving.add(connection);
    connection.leave();
  }

  #closeIdle(): void {
    const idle = [...this.#links].filter(([, { connection }]) => connection.streamCount === 0);
    const excess = idle.length - this.#options.maxIdle;
    if (excess <= 0) return;
    idle.sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    for (const [address, link] of idle.slice(0, excess)) this.#drop(address, link);
  }
}

function requestHeaders(
  address: string,
  { path, authorization }: { readonly path: string; readonly authorization: string },
): Headers {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', address],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['authorization', authorization],
  ];
}

/** host:port, the host of IPv6 in brackets. */
function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) };
}
