import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Refusals } from '../tls/refusals.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import { goawayFrame, Http2Code, settingsFrame } from './frames.js';

/*
 * The TLS side of a peer's port: takes connections as they come, looks at the first byte, and hands on those whose
 * handshake ends well. Both sides show a certificate, and Node refuses who shows none or one that no authority of ours
 * has signed. Who speaks no TLS is told so in HTTP/2, which is what he came for.
 */

/** First byte of TLS: a record of type handshake, RFC 8446 section 5.1. */
export const TLS_HANDSHAKE = 0x16;
/** First byte of HTTP/2, and of `PUT` and `POST`. */
const LETTER_P = 0x50;
/** How long the answer to who speaks no TLS may take, in milliseconds. */
const LINGER_MS = 1_000;

/** See the head of this file. */
export class TlsAcceptor {
  readonly #deps: {
    readonly onSecure: (socket: TLSSocket) => void;
    readonly refusals: Refusals;
  };
  readonly #handshakeMs: number;
  readonly #server: Server;
  /** Connections whose handshake is not over, by where they come from. */
  readonly #pending = new Map<string, Socket>();

  constructor(
    deps: {
      readonly identity: TlsIdentity;
      readonly onSecure: (socket: TLSSocket) => void;
      readonly refusals: Refusals;
    },
    options: {
      /** How long a handshake may take, in milliseconds. */
      readonly handshakeMs: number;
    },
  ) {
    const { identity } = deps;
    this.#deps = deps;
    this.#handshakeMs = options.handshakeMs;
    // It listens nowhere: it is given connections.
    this.#server = createServer({
      ...identity.options,
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ['h2'],
      handshakeTimeout: options.handshakeMs,
    });
    this.#server.on('secureConnection', (socket) => {
      this.#pending.delete(originOf(socket));
      deps.onSecure(socket);
    });
    this.#server.on('tlsClientError', (error, socket) => this.#failed(error, socket));
    identity.onRenewed(() => this.#server.setSecureContext(identity.options));
  }

  /** Takes a connection from which nothing was read. */
  accept(socket: Socket): void {
    const origin = originOf(socket);
    this.#pending.set(origin, socket);
    socket.on('close', () => {
      if (this.#pending.get(origin) === socket) this.#pending.delete(origin);
    });
    const timer = setTimeout(() => socket.destroy(), this.#handshakeMs);
    const onError = () => socket.destroy();
    const settle = () => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', settle);
    };
    const onData = (data: Buffer) => {
      settle();
      socket.pause();
      if (data[0] !== TLS_HANDSHAKE) {
        this.#refusePlaintext(socket, data);
        return;
      }
      socket.unshift(data);
      this.#server.emit('connection', socket);
    };
    socket.on('data', onData).on('error', onError).on('close', settle);
  }

  /** Cuts the connections whose handshake is not over. */
  close(): void {
    for (const socket of this.#pending.values()) socket.destroy();
  }

  #failed(error: Error, socket: TLSSocket): void {
    // Of a certificate that Node refuses, the error says nothing.
    const authorization = socket.authorizationError as Error | string | null;
    const { code = '' } = error as NodeJS.ErrnoException;
    // An alert is what the other side says about ours.
    const isAboutCertificate = authorization !== null || (code.includes('CERT') && !code.includes('ALERT'));
    const detail = authorization === null ? error.message : String(authorization);
    this.#deps.refusals.note(isAboutCertificate ? 'certificate' : 'handshake', { from: socket.remoteAddress, detail });
    socket.destroy();
  }

  #refusePlaintext(socket: Socket, data: Buffer): void {
    this.#deps.refusals.note('plaintext', { from: socket.remoteAddress, detail: 'it spoke no TLS' });
    socket.on('error', () => socket.destroy());
    if (data[0] !== LETTER_P) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.on('close', () => clearTimeout(timer));
    socket.end(Buffer.concat([settingsFrame([]), goawayFrame(0, Http2Code.inadequateSecurity)]));
    // What it still says is of no interest, but unread bytes would make the kernel throw away the answer.
    socket.resume();
  }
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
