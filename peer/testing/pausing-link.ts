import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline, Transform } from 'node:stream';
import { readChunkPart } from '../swarm/chunk-codec.js';
import { FrameReader } from '../wire/frame-reader.js';
import { MessageReader } from '../wire/grpc-messages.js';
import { startPeer, type TestIndex, type TestPeer } from './harness.js';

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/**
 * A way to a peer on which, when told to, so many bytes of its answers arrive and then nothing more: a holder that
 * pauses at a known place. Whoever is connected notices nothing but that. It also sees which chunks pass.
 */
export class PausingLink {
  /** Where to connect, host:port. */
  readonly address: string;
  /** The chunks, or parts of some, that arrived whole, by number, in order. */
  readonly chunks: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #allowedBytes = Number.POSITIVE_INFINITY;
  /** What goes on when the link does. */
  readonly #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A link to a port on loopback. */
  static async to(port: number): Promise<PausingLink> {
    const server = createServer((caller) => {
      const callee = connect(port, '127.0.0.1');
      for (const socket of [caller, callee]) {
        link.#sockets.add(socket);
        socket.on('close', () => link.#sockets.delete(socket));
      }
      // One end that goes takes the other along; that this is no good order is what both ends expect of a network.
      pipeline(caller, callee, () => caller.destroy());
      pipeline(callee, link.#gate(), caller, () => callee.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const link = new PausingLink(server);
    return link;
  }

  /** Lets so many more bytes of answers through, over all connections together. */
  pauseAfter(bytes: number): void {
    this.#allowedBytes = bytes;
  }

  /** Whether bytes are being kept back. */
  get isPaused(): boolean {
    return this.#waiting.length > 0;
  }

  /** Lets everything through, what was kept back first. */
  resume(): void {
    this.#allowedBytes = Number.POSITIVE_INFINITY;
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #gate(): Transform {
    const watcher = this.#watcher();
    const gate = new Transform({
      transform: (bytes: Buffer, _encoding, done) => {
        const allowed = bytes.subarray(0, this.#allowedBytes);
        this.#allowedBytes -= allowed.length;
        watcher.push(allowed);
        if (allowed.length === bytes.length) {
          done(null, bytes);
          return;
        }
        gate.push(allowed);
        const rest = bytes.subarray(allowed.length);
        this.#waiting.push(() => {
          if (gate.destroyed) return;
          watcher.push(rest);
          done(null, rest);
        });
      },
    });
    return gate;
  }

  #watcher(): FrameReader {
    const streams = new Map<number, MessageReader>();
    const onMessage = (message: Buffer) => {
      const part = readChunkPart(message);
      if (part !== undefined) this.chunks.push(part.index);
    };
    const onData = (streamId: number, bytes: Buffer) => {
      const reader =
        streams.get(streamId) ??
        new MessageReader({ allocate: Buffer.alloc, onMessage }, { maxBytes: MAX_MESSAGE_BYTES });
      streams.set(streamId, reader);
      reader.push(bytes);
    };
    const listener = { onData, onDataEnd: () => undefined, onFrame: () => undefined };
    return new FrameReader(listener, { maxFrameBytes: MAX_MESSAGE_BYTES, isServer: false });
  }
}

/** Starts a peer that the others reach over a link; see {@link startPeer}. */
export async function startPeerBehindLink(
  index: TestIndex,
  name: string,
): Promise<{ readonly peer: TestPeer; readonly link: PausingLink }> {
  const env: NodeJS.ProcessEnv = {};
  const peer = await startPeer(index, name, env);
  const link = await PausingLink.to(Number(peer.daemon.address.slice(peer.daemon.address.lastIndexOf(':') + 1)));
  // Its port is known now, and stays.
  env['SHOAL_ADVERTISE_ADDRESS'] = link.address;
  await peer.stop();
  await peer.start();
  return { peer, link };
}
