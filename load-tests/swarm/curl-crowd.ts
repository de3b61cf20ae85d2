import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Nginx, startNginx } from '../transfer/nginx.js';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { Crowd, CrowdFile, CrowdSession, CrowdSystem } from './crowd.js';
import type { Lab } from './lab.js';
import { LabProcess } from './lab-process.js';

const PORT = 8080;
/** Kept open by each curl for many files: what waits for an answer on one leaves the link to the others. */
const CONNECTIONS = 8;

/** What people do first: nginx where the file is, and curl everywhere else. */
export function curlSystem(
  bench: SwarmBenchEnvironment,
  programs: { readonly nginx: string; readonly curl: string },
): CrowdSystem {
  return {
    name: 'curl',
    title: 'nginx, and curl at each node',
    open: async (lab, folder) => {
      await mkdir(folder, { recursive: true });
      return new CurlSession({ bench, lab, folder, ...programs });
    },
  };
}

interface CurlSessionParts {
  readonly bench: SwarmBenchEnvironment;
  readonly lab: Lab;
  readonly folder: string;
  readonly nginx: string;
  readonly curl: string;
}

class CurlSession implements CrowdSession {
  readonly #parts: CurlSessionParts;

  constructor(parts: CurlSessionParts) {
    this.#parts = parts;
  }

  async ready(file: CrowdFile): Promise<Crowd> {
    const { bench, lab, folder, nginx: program } = this.#parts;
    const [first] = lab.nodes;
    if (first === undefined) throw new RangeError('a crowd has a first holder');
    // The readiness of nginx is asked where nothing is shaped.
    const nginx = await startNginx(
      { folder, environment: bench.environment },
      {
        program,
        launcher: first.inside,
        address: '0.0.0.0',
        reachedAt: first.controlAddress,
        port: PORT,
        served: dirname(file.path),
        signal: bench.signal,
      },
    );
    return new CurlCrowd(this.#parts, { nginx, file, url: `http://${first.address}:${PORT}/${basename(file.path)}` });
  }

  async close(): Promise<void> {
    await rm(this.#parts.folder, { recursive: true, force: true });
  }
}

class CurlCrowd implements Crowd {
  readonly #parts: CurlSessionParts;
  readonly #nginx: Nginx;
  readonly #file: CrowdFile;
  readonly #url: string;
  readonly #curls: LabProcess[] = [];

  constructor(
    parts: CurlSessionParts,
    { nginx, file, url }: { readonly nginx: Nginx; readonly file: CrowdFile; readonly url: string },
  ) {
    this.#parts = parts;
    this.#nginx = nginx;
    this.#file = file;
    this.#url = url;
  }

  async fetch(number: number): Promise<void> {
    const { bench, lab, folder, curl } = this.#parts;
    const node = lab.nodes[number];
    if (node === undefined) throw new RangeError(`there is no node ${number}`);
    const process = new LabProcess([curl, '--silent', '--show-error', '--fail', ...(await this.#whatToGet(number))], {
      node,
      environment: bench.environment,
      logFile: join(folder, `curl-${number}.log`),
    });
    this.#curls[number] = process;
    await process.succeeds();
  }

  async #whatToGet(number: number): Promise<readonly string[]> {
    const { files } = this.#file;
    // --continue-at: after a restart it goes on where it was.
    if (files === undefined) return ['--continue-at', '-', '-o', this.#path(number), this.#url];
    const list = join(this.#parts.folder, `curl-${number}.list`);
    const lines = files.map((path) => `url = "${this.#url}/${path}"\noutput = "${join(this.#path(number), path)}"\n`);
    await writeFile(list, lines.join(''));
    return ['--create-dirs', '--parallel', '--parallel-max', String(CONNECTIONS), '--config', list];
  }

  async kill(node: number): Promise<void> {
    if (node === 0) await this.#nginx.stop();
    else await this.#curls[node]?.end('SIGKILL');
  }

  restart(node: number): Promise<void> {
    return this.fetch(node);
  }

  get pids(): readonly number[] {
    return [
      this.#nginx.pid,
      ...this.#curls.flatMap(({ pid, isRunning }) => (pid !== undefined && isRunning ? [pid] : [])),
    ];
  }

  duplicateBytes(): Promise<number> {
    return Promise.resolve(0);
  }

  target(node: number): Promise<string> {
    return Promise.resolve(this.#path(node));
  }

  #path(node: number): string {
    return join(this.#parts.folder, `${basename(this.#file.path)}-${node}`);
  }

  async end(): Promise<void> {
    await Promise.all([this.#nginx.stop(), ...this.#curls.map((curl) => curl.end('SIGKILL'))]);
    for (const node of this.#curls.keys()) await rm(this.#path(node), { recursive: true, force: true });
  }
}
