import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { Crowd, CrowdFile, CrowdSession, CrowdSystem } from './crowd.js';
import type { Lab } from './lab.js';
import { LabProcess } from './lab-process.js';

const PORT = 8730;
const START_MS = 10_000;

/** What people use for folders: an rsync daemon where the files are, and rsync everywhere else. */
export function rsyncSystem(bench: SwarmBenchEnvironment, rsync: string): CrowdSystem {
  return {
    name: 'rsync',
    title: 'rsync daemon, and rsync at each node',
    open: async (lab, folder) => {
      await mkdir(folder, { recursive: true });
      return {
        ready: (file) => RsyncCrowd.begin({ bench, lab, folder, rsync }, file),
        close: () => rm(folder, { recursive: true, force: true }),
      } satisfies CrowdSession;
    },
  };
}

interface RsyncParts {
  readonly bench: SwarmBenchEnvironment;
  readonly lab: Lab;
  readonly folder: string;
  readonly rsync: string;
}

class RsyncCrowd implements Crowd {
  readonly #parts: RsyncParts;
  readonly #daemon: LabProcess;
  readonly #file: CrowdFile;
  readonly #clients: LabProcess[] = [];

  private constructor(parts: RsyncParts, daemon: LabProcess, file: CrowdFile) {
    this.#parts = parts;
    this.#daemon = daemon;
    this.#file = file;
  }

  static async begin(parts: RsyncParts, file: CrowdFile): Promise<RsyncCrowd> {
    const { bench, lab, folder, rsync } = parts;
    const [node] = lab.nodes;
    if (node === undefined) throw new RangeError('a crowd has a first holder');
    const configuration = join(folder, 'rsyncd.conf');
    const settings = ['use chroot = no', 'uid = root', 'gid = root', 'max connections = 0', 'reverse lookup = no'];
    await writeFile(configuration, [...settings, '[wanted]', `path = ${file.path}`, 'read only = yes', ''].join('\n'));
    const command = [rsync, '--daemon', '--no-detach', `--config=${configuration}`, `--port=${PORT}`];
    // Node's pipes are sockets, and with a socket as its standard input it takes itself for a child of inetd.
    const daemon = new LabProcess(['sh', '-c', 'exec "$@" < /dev/null', 'sh', ...command], {
      node,
      environment: bench.environment,
      logFile: join(folder, 'rsyncd.log'),
    });
    const crowd = new RsyncCrowd(parts, daemon, file);
    try {
      await answers(node.controlAddress, bench.signal);
    } catch (error) {
      await crowd.end();
      throw error;
    }
    return crowd;
  }

  async fetch(number: number): Promise<void> {
    const { bench, lab, folder, rsync } = this.#parts;
    const [node, first] = [lab.nodes[number], lab.nodes[0]];
    if (node === undefined || first === undefined) throw new RangeError(`there is no node ${number}`);
    const from = `rsync://${first.address}:${PORT}/wanted/`;
    const client = new LabProcess([rsync, '--archive', '--whole-file', from, this.#path(number)], {
      node,
      environment: bench.environment,
      logFile: join(folder, `rsync-${number}.log`),
    });
    this.#clients[number] = client;
    await client.succeeds();
  }

  async kill(node: number): Promise<void> {
    await (node === 0 ? this.#daemon : this.#clients[node])?.end('SIGKILL');
  }

  restart(node: number): Promise<void> {
    return this.fetch(node);
  }

  get pids(): readonly number[] {
    return [this.#daemon, ...this.#clients].flatMap((one) =>
      one?.pid !== undefined && one.isRunning ? [one.pid] : [],
    );
  }

  duplicateBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  target(node: number): Promise<string> {
    return Promise.resolve(this.#path(node));
  }

  async end(): Promise<void> {
    await Promise.all([this.#daemon.end('SIGTERM'), ...this.#clients.map((client) => client?.end('SIGKILL'))]);
    for (const node of this.#clients.keys()) await rm(this.#path(node), { recursive: true, force: true });
  }

  #path(node: number): string {
    return join(this.#parts.folder, `${basename(this.#file.path)}-${node}`);
  }
}

/** Resolves when somebody listens. */
async function answers(host: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + START_MS;
  while (!(await isAnswered(host))) {
    signal.throwIfAborted();
    if (Date.now() > deadline) throw new Error(`rsync did not answer within ${START_MS / 1000} s`);
    await wait(20);
  }
}

function isAnswered(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: PORT });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
