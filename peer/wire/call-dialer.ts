import { connect as connectTcp, isIP, type OnReadOpts, Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { TlsIdentity } from '../tls/tls-identity.js';
import { hungUpAfterHandshake, tlsTroubleOf } from '../tls/tls-trouble.js';
import type { BufferPool } from './buffer-pool.js';
import type { Headers } from './hpack.js';
import { Http2Connection, type Http2Options } from './http2-connection.js';
import { type CallListener, OutgoingCall } from './outgoing-call.js';

/*
 * Opens gRPC calls whose answers are large, to peers of ours and to any other gRPC server. One connection an address,
 * shared by all calls to it; a name is looked up anew for each connection, so a pod that came back is found.
 */

const CONNECT_MS = 10_000;
const UNIX = 'unix:';
/** One buffer takes what each read of any connection brings; its contents are handed on before the next. */
const READ_BYTES = 512 * 1024;
/**
 * After so much, from all connections together, the rest of the process has its turn: a system that has megabytes at hand
 * would otherwise keep it waiting until all are verified.
 */
const TURN_BYTES = 2 * 1024 * 1024;

/** Settings of a dialer. */
export interface CallDialerOptions extends Http2Options {
  /** Unused connections kept open. */
  readonly maxIdle: number;
  /** Largest message that is taken, in bytes. */
  readonly maxMessageBytes: number;
  /** When more than this is {@link CallDialer.hold held}, nothing more is read from any connection. */
  readonly maxHeldBytes: number;
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
  readonly #identity: TlsIdentity | undefined;
  readonly #options: CallDialerOptions;
  readonly #links = new Map<string, Link>();
  readonly #leaving = new Set<Http2Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #read = Buffer.allocUnsafeSlow(READ_BYTES);
  #heldBytes = 0;
  #turnBytes = 0;
  #uses = 0;

  constructor(
    deps: {
      readonly buffers: BufferPool;
      /** With it, nothing but TLS is spoken. */
      readonly identity: TlsIdentity | undefined;
    },
    options: CallDialerOptions,
  ) {
    this.#buffers = deps.buffers;
    this.#identity = deps.identity;
    this.#options = options;
  }

  /** Calls `path` at host:port, or at unix:PATH. A server that cannot be reached is told by `onEnd` with `unavailable`, later. */
  open(
    address: string,
    call: { readonly path: string; readonly authorization: string | undefined; readonly listener: CallListener },
  ): OutgoingCall {
    const link = this.#linkTo(address);
    const heardBefore = link.receivedBytes;
    const scheme = this.#identity === undefined ? 'http' : 'https';
    const stream = link.connection.open(requestHeaders({ address, scheme, ...call }));
    return new OutgoingCall(
      {
        stream,
        listener: call.listener,
        buffers: this.#buffers,
        onOver: (why) => {
          // Nobody answers there: who comes next had better connect anew.
          if (why === 'silent' || link.receivedBytes === heardBefore) this.#drop(address, link);
          this.#closeIdle();
        },
      },
      { address, maxMessageBytes: this.#options.maxMessageBytes },
    );
  }

  /**
   * To be told of received bytes that are waiting for something slower than the network, and, as a negative number, when
   * they are done with. Too many make all servers wait.
   */
  hold(bytes: number): void {
    const wasFull = this.#isFull;
    this.#heldBytes += bytes;
    if (wasFull === this.#isFull) return;
    for (const connection of this.#connections()) connection.isDeaf = this.#isFull;
    if (wasFull) this.#resume();
  }

  /** Ends all calls, with `unavailable`. */
  close(): void {
    const connections = this.#connections();
    this.#links.clear();
    for (const connection of connections) connection.destroy(new Error('this peer is closing'));
  }

  #connections(): Http2Connection[] {
    return [...[...this.#links.values()].map((link) => link.connection), ...this.#leaving];
  }

  #mayReadOn(bytes: number): boolean {
    if (this.#turnBytes === 0) {
      setImmediate(() => {
        const wasOver = this.#turnBytes > TURN_BYTES;
        this.#turnBytes = 0;
        if (wasOver && !this.#isFull) this.#resume();
      });
    }
    this.#turnBytes += bytes;
    return !this.#isFull && this.#turnBytes <= TURN_BYTES;
  }

  #resume(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  get #isFull(): boolean {
    return this.#heldBytes > this.#options.maxHeldBytes;
  }

  #linkTo(address: string): Link {
    const known = this.#links.get(address);
    const link = known?.connection.isUsable === true ? known : this.#connect(address);
    this.#uses += 1;
    link.lastUsed = this.#uses;
    return link;
  }

  #connect(address: string): Link {
    let link: Link | undefined;
    let isSecure = false;
    const socket = dial(address, this.#identity, {
      buffer: this.#read,
      callback: (bytes) => {
        if (link === undefined) return true;
        link.receivedBytes += bytes;
        link.connection.receive(this.#read.subarray(0, bytes));
        return this.#mayReadOn(bytes);
      },
    });
    this.#sockets.add(socket);
    const timer = setTimeout(() => {
      connection.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`));
    }, CONNECT_MS);
    socket.once(this.#identity === undefined ? 'connect' : 'secureConnect', () => {
      isSecure = true;
      clearTimeout(timer);
    });
    const connection = new Http2Connection(
      {
        socket,
        listener: {
          explain: (error) => {
            if (this.#identity === undefined) return error;
            const isHangUp = isSecure && link?.receivedBytes === 0;
            return tlsTroubleOf(error) ?? (isHangUp ? hungUpAfterHandshake(error) : error);
          },
          onClose: () => {
            clearTimeout(timer);
            this.#sockets.delete(socket);
            this.#leaving.delete(connection);
            if (this.#links.get(address) === link) this.#links.delete(address);
          },
        },
      },
      { ...this.#options, role: 'client' },
    );
    connection.isDeaf = this.#isFull;
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

function requestHeaders(call: {
  readonly address: string;
  readonly scheme: string;
  readonly path: string;
  readonly authorization: string | undefined;
}): Headers {
  const { address, scheme, path, authorization } = call;
  return [
    [':method', 'POST'],
    [':scheme', scheme],
    [':path', path],
    // As gRPC clients say it about a socket, whose path is no authority.
    [':authority', address.startsWith(UNIX) ? 'localhost' : address],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ...(authorization === undefined ? [] : ([['authorization', authorization]] as const)),
  ];
}

/**
 * A socket on its way to host:port, the host of IPv6 in brackets, or to a path after `unix:`. What is no such address fails like an unknown host. With
 * TLS the certificate of the other side must be for this host.
 */
function dial(address: string, identity: TlsIdentity | undefined, onread: OnReadOpts): Socket {
  if (address.startsWith(UNIX)) return connectTcp({ path: address.slice(UNIX.length), onread });
  const at = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(0, at)).replace(/^\[(.*)\]$/, '$1');
  const port = Number(address.slice(at + 1));
  if (host === '' || !Number.isInteger(port) || port <= 0 || port >= 65_536) {
    return new Socket().destroy(new Error('this is not host:port'));
  }
  if (identity === undefined) return connectTcp({ host, port, onread });
  // RFC 6066 section 3 has names alone in the SNI.
  const sni = isIP(host) === 0 ? { servername: host } : {};
  // Node's types do not know that `onread` is for TLS as well.
  const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
    ...{ host, port, onread, secureContext: identity.context, ALPNProtocols: ['h2'], ...sni },
  };
  return connectTls(options);
}
