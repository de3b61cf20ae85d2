import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Passes connections on to another server, until it is cut; then it refuses them until it is mended. */
export class TcpProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  /** Takes connections, on the same port each time. */
  async mend(): Promise<void> {
    const server = createServer((socket) => {
      const onward = connect(this.#target);
      for (const end of [socket, onward]) {
        this.#sockets.add(end);
        // The other end is closed too, which is all that an error here means.
        end.on('error', () => undefined);
        end.once('close', () => {
          this.#sockets.delete(end);
          (end === socket ? onward : socket).destroy();
        });
      }
      socket.pipe(onward).pipe(socket);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Passes nothing on any more over the connections that are open, and closes none: as when a machine is gone. */
  freeze(): void {
    for (const socket of this.#sockets) socket.pause().unpipe();
  }

  /** Breaks all connections and takes no more. */
  async cut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
