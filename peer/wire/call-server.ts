import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { ShoalError } from '../../common/errors.js';
import type { Logger } from '../../common/log.js';
import type { Refusals } from '../tls/refusals.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import type { BufferPool } from './buffer-pool.js';
import { BULK_SETTING } from './bulk-setting.js';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, FrameType, readFrameHeader, readSettings } from './frames.js';
import { Http2Connection, type Http2Options } from './http2-connection.js';
import { IncomingCall } from './incoming-call.js';
import { TLS_HANDSHAKE, TlsAcceptor } from './tls-acceptor.js';

/*
 * The one port of a peer, and its control socket. Who connects shows with his first frame whether he is a peer of ours (it has a setting that
 * means nothing to others): then the calls with bulk answers are served here, without the copies of grpc-js. Everybody
 * else's connection goes to grpc-js, with all that was read of it, and is served as by any gRPC server. With TLS all this
 * happens inside of it.
 */

const MAX_HELLO_BYTES = 4 * 1024;

/** Settings of a server. */
export interface CallServerOptions extends Http2Options {
  /** A connection on which nobody has said who he is for so long is closed, in milliseconds. */
  readonly helloMs: number;
}

/** See the head of this file. */
export class CallServer {
  readonly #deps: {
    readonly onCall: (call: IncomingCall) => void;
    readonly otherwise: (socket: Socket) => void;
    readonly buffers: Pick<BufferPool, 'take'>;
    readonly refusals: Refusals;
    readonly log: Logger;
  };
  readonly #options: CallServerOptions;
  readonly #server: Server;
  readonly #acceptor: TlsAcceptor | undefined;
  /** Those who have not said who they are. */
  readonly #strangers = new Set<Socket>();
  readonly #connections = new Set<Http2Connection>();
  readonly #closed = new EventEmitter();
  #isLeaving = false;

  constructor(
    deps: {
      /** A peer of ours calls. */
      readonly onCall: (call: IncomingCall) => void;
      /** Somebody else has connected; nothing was read from the socket. */
      readonly otherwise: (socket: Socket) => void;
      /** Where requests are put. */
      readonly buffers: Pick<BufferPool, 'take'>;
      /** With it, nothing but TLS is taken. */
      readonly identity: TlsIdentity | undefined;
      readonly refusals: Refusals;
      readonly log: Logger;
    },
    options: CallServerOptions,
  ) {
    this.#deps = deps;
    this.#options = options;
    const { identity, refusals } = deps;
    const onSecure = (socket: Socket) => this.#greet(socket);
    this.#acceptor = identity && new TlsAcceptor({ identity, refusals, onSecure }, { handshakeMs: options.helloMs });
    this.#server = createServer({ noDelay: true }, (socket) => {
      if (this.#acceptor === undefined) this.#greet(socket);
      else this.#acceptor.accept(socket);
    });
  }

  /** Listens at host and port, and resolves to the port (a free one for port 0). Rejects with `unavailable`. */
  async listen(host: string, port: number): Promise<number> {
    await this.#listen(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, { host, port });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Listens on a Unix socket that is made at `path`. Rejects with `unavailable`. */
  async listenAt(path: string): Promise<void> {
    await this.#listen(path, { path });
  }

  async #listen(where: string, options: ListenOptions): Promise<void> {
    this.#server.listen(options);
    try {
      await once(this.#server, 'listening');
    } catch (cause) {
      const { message } = cause as Error;
      throw new ShoalError('unavailable', `cannot listen for gRPC on ${where}: ${message}`, { cause });
    }
    // From now on it is about one connection that could not be taken: those that are open go on.
    this.#server.on('error', (error) => this.#deps.log.warn({ error }, 'could not take a connection'));
  }

  /** Takes no new connections and no new calls. Resolves when those under way are over. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    if (this.#server.listening) this.#server.close();
    this.#acceptor?.close();
    for (const socket of this.#strangers) socket.destroy();
    for (const connection of [...this.#connections]) connection.leave();
    if (this.#connections.size > 0) await once(this.#closed, 'all');
  }

  /** Cuts what is under way. */
  cut(): void {
    for (const socket of this.#strangers) socket.destroy();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #greet(socket: Socket): void {
    this.#strangers.add(socket);
    let hello: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), this.#options.helloMs);
    const settle = () => {
      this.#strangers.delete(socket);
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', settle);
    };
    const onData = (data: Buffer) => {
      hello = Buffer.concat([hello, data]);
      const who = whoSays(hello);
      if (who === 'unknown') return;
      settle();
      socket.pause();
      if (who === 'peer') this.#converse(socket, hello);
      else this.#passOn(socket, hello);
    };
    const onError = () => socket.destroy();
    socket.on('data', onData).on('error', onError).on('close', settle);
  }

  #passOn(socket: Socket, hello: Buffer): void {
    if (hello[0] === TLS_HANDSHAKE) {
      // It is answered in HTTP/2, by which any TLS client sees that this is no TLS.
      const detail = this.#acceptor === undefined ? 'it spoke TLS, and SHOAL_TLS_CERT_FILE is not set' : 'TLS in TLS';
      this.#deps.refusals.note('tls', { from: socket.remoteAddress, detail });
    }
    socket.unshift(hello);
    this.#deps.otherwise(socket);
  }

  #converse(socket: Socket, hello: Buffer): void {
    const connection = new Http2Connection(
      {
        socket,
        listener: {
          onStream: (stream, headers) => this.#deps.onCall(new IncomingCall(stream, headers, this.#deps.buffers)),
          onClose: (error) => {
            this.#connections.delete(connection);
            if (this.#connections.size === 0) this.#closed.emit('all');
            this.#deps.log.debug({ error }, 'a peer hung up');
          },
        },
      },
      { ...this.#options, role: 'server' },
    );
    this.#connections.add(connection);
    socket.on('data', (data: Buffer) => connection.receive(data));
    connection.receive(hello);
    if (this.#isLeaving) connection.leave();
    socket.resume();
  }
}

/** Who sends these first bytes, if they are enough to tell. */
function whoSays(hello: Buffer): 'peer' | 'other' | 'unknown' {
  const compared = Math.min(hello.length, CLIENT_PREFACE.length);
  if (CLIENT_PREFACE.compare(hello, 0, compared, 0, compared) !== 0) return 'other';
  const start = CLIENT_PREFACE.length + FRAME_HEADER_BYTES;
  if (hello.length < start) return 'unknown';
  const { type, length } = readFrameHeader(hello.subarray(CLIENT_PREFACE.length, start));
  if (type !== FrameType.settings || length > MAX_HELLO_BYTES || length % 6 !== 0) return 'other';
  if (hello.length < start + length) return 'unknown';
  const settings = readSettings(hello.subarray(start, start + length));
  return settings.some(([id, value]) => id === BULK_SETTING[0] && value === BULK_SETTING[1]) ? 'peer' : 'other';
}
