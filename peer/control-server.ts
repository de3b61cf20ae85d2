import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { ShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { ControlServiceDefinition } from '../proto/gen/shoal/control/v1/ControlService.js';
import { grpcHandlers } from './control/grpc-calls.js';
import type { ControlHandlers } from './control/handlers.js';
import { wireHandler } from './control/wire-calls.js';
import { CONTROL_PROTO, loadProto } from './proto.js';
import { Refusals } from './tls/refusals.js';
import type { BufferPool } from './wire/buffer-pool.js';
import { CallServer } from './wire/call-server.js';

const SERVICE = 'shoal.control.v1.ControlService';
const WIRE_OPTIONS = {
  windowBytes: 1024 * 1024,
  maxFrameBytes: 1024 * 1024,
  extraSettings: [],
  // The kernel tells when the other end of a socket is gone, and a reader may be paused for as long as it likes.
  keepaliveMs: Number.POSITIVE_INFINITY,
  keepaliveTimeoutMs: 10_000,
  helloMs: 20_000,
};

/**
 * Throws `conflict` when somebody answers on the socket, or when something else has its path. A socket on which nobody
 * answers was left by a process that died, and will be replaced.
 */
export async function checkSocketFree(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) {
      throw new ShoalError('conflict', `${path} is there and is not a socket`, {
        hint: 'name another in SHOAL_SOCKET',
      });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!(await isAnswered(path))) return;
  throw new ShoalError('conflict', `another peer is running here: it answers on ${path}`, {
    hint: 'stop it, or give this one a SHOAL_DATA_DIR and ports of its own',
  });
}

/**
 * The gRPC server that the command line talks to, on a Unix socket that only its owner may open. Our own is
 * served by wire/, which copies no file and holds back who is too fast; any other client by grpc-js.
 */
export class ControlServer {
  readonly #server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  readonly #health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' });
  readonly #log: Logger;
  readonly #port: CallServer;
  #socket: { readonly path: string; readonly inode: bigint } | undefined;

  constructor(deps: {
    readonly handlers: ControlHandlers;
    /** Where requests are put. */
    readonly buffers: Pick<BufferPool, 'take'>;
    readonly log: Logger;
  }) {
    const { handlers, buffers, log } = deps;
    this.#log = log;
    const service = loadProto(CONTROL_PROTO)[SERVICE] as unknown as ControlServiceDefinition;
    this.#server.addService(service, grpcHandlers(service, handlers));
    this.#health.addToServer(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#port = new CallServer(
      {
        onCall: wireHandler(service, handlers),
        buffers,
        otherwise: (socket) => injector.injectConnection(socket),
        identity: undefined,
        refusals: new Refusals({ log, count: () => undefined, now: () => performance.now() }),
        log,
      },
      WIRE_OPTIONS,
    );
  }

  /** Listens on `path`; throws `conflict` as {@link checkSocketFree}. */
  async listen(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await checkSocketFree(path);
    // The socket is made in a folder that nobody else can enter and moved when its mode is right, so that there is no
    // moment in which others could connect.
    const nursery = await mkdtemp(`${dirname(path)}/.`);
    try {
      const born = join(nursery, 's');
      await this.#port.listenAt(born);
      await chmod(born, 0o600);
      const { ino } = await lstat(born, { bigint: true });
      await rename(born, path);
      this.#socket = { path, inode: ino };
    } finally {
      await rm(nursery, { recursive: true, force: true });
    }
    this.#log.info({ socket: path }, 'listening for the command line');
  }

  /** Takes no more calls, and resolves when those under way have ended or been cut after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#health.setStatus('', 'NOT_SERVING');
    this.#health.setStatus(SERVICE, 'NOT_SERVING');
    await this.#removeSocket();
    const timer = setTimeout(() => {
      this.#server.forceShutdown();
      this.#port.cut();
    }, graceMs);
    // An error says that calls were cut, which is what the limit is for.
    const shutdown = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await Promise.all([shutdown, this.#port.leave()]);
    clearTimeout(timer);
  }

  /** Removes the socket unless another daemon has put its own there. */
  async #removeSocket(): Promise<void> {
    if (this.#socket === undefined) return;
    const { path, inode } = this.#socket;
    this.#socket = undefined;
    try {
      if ((await lstat(path, { bigint: true })).ino === inode) await rm(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(new ShoalError('conflict', `cannot tell who listens on ${path}: ${error.message}`, { cause: error }));
    });
  });
}
