// Swarms for measurements: the programs of `npm start` on free ports, with data of their own.

import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Authority, writeTlsFiles } from '../scripts/certificates.mjs';
import { ChildProgram, portTrouble } from '../scripts/child-program.mjs';
import { folderFromRoot, indexProgram, peerProgram } from '../scripts/local-swarm.mjs';
import { root } from '../scripts/setup.mjs';

/** Below the ports that systems give out by themselves; the test of `npm start` has those from 30,000 on. */
const PORTS = { first: 10_000, count: 20_000 };
const TRIES = 100;
const STOP_MS = 30_000;

/** A port of 127.0.0.1 that is free, with `around` free ones on either side. */
export async function freePort(around = 0) {
  for (let i = 0; i < TRIES; i += 1) {
    const port = PORTS.first + around + Math.floor(Math.random() * (PORTS.count - 2 * around));
    const span = Array.from({ length: 2 * around + 1 }, (_, at) => port - around + at);
    const troubles = await Promise.all(span.map(portTrouble));
    if (troubles.every((trouble) => trouble === undefined)) return port;
  }
  throw new Error('found no free port on 127.0.0.1');
}

/** Starts swarms one after the other below `folder`, and knows all of them, so that none is left behind. */
export class BenchSwarms {
  #folder;
  #signal;
  #started = 0;
  #children = new Set();

  /** @param {{ folder: string, signal: AbortSignal }} options when the signal fires, starting a swarm fails */
  constructor({ folder, signal }) {
    this.#folder = folder;
    this.#signal = signal;
  }

  /**
   * Resolves to a BenchSwarm (load-tests/transfer/environment.ts) when every program is ready.
   *
   * @param {number} peerCount
   * @param {{ hasTls?: boolean }} [options] whether the peers speak mutual TLS
   */
  async start(peerCount, { hasTls = false } = {}) {
    this.#started += 1;
    const dataDir = folderFromRoot(join(this.#folder, String(this.#started)));
    const place = { port: await freePort(peerCount), dataDir };
    const tls = hasTls ? await newTls(resolve(root, dataDir, 'tls')) : {};
    const programs = [
      indexProgram(place),
      ...Array.from({ length: peerCount }, (_, i) => withSettings(peerProgram(i + 1, place), tls)),
    ].map((program) => ({ ...program, logFile: join(this.#folder, `logs-${this.#started}`, `${program.name}.log`) }));
    const [index, ...peers] = programs;
    const stages = [await this.#startAll([index]), await this.#startAll(peers)];
    return {
      index: { ...describe(stages[0][0]), folder: resolve(root, index.folders[0]) },
      peers: stages[1].map((child) => ({ ...describe(child), socket: resolve(root, child.program.socket) })),
      stop: async () => {
        for (const stage of stages.reverse()) await this.#stop(stage);
        await rm(resolve(root, dataDir), { recursive: true, force: true });
      },
    };
  }

  /** Starts an index alone, on data that is there already and stays. Resolves when it is ready. */
  async startIndex(dataDir) {
    this.#started += 1;
    const program = indexProgram({ port: await freePort(), dataDir: folderFromRoot(dataDir) });
    const logFile = join(this.#folder, `logs-${this.#started}`, `${program.name}.log`);
    const children = await this.#startAll([{ ...program, logFile }]);
    return { ...describe(children[0]), stop: () => this.#stop(children) };
  }

  /** Ends whatever still runs after something failed, and resolves when all are gone, however they ended. */
  async stopAll() {
    await this.#end([...this.#children]);
  }

  killAll() {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #startAll(programs) {
    const children = programs.map((program) => new ChildProgram(program));
    for (const child of children) this.#children.add(child);
    const ready = await Promise.all(children.map((child) => child.becomesReady(this.#signal)));
    this.#signal.throwIfAborted();
    const late = children.find((_, i) => !ready[i]);
    if (late) throw new Error(`${late.name} did not become ready:\n${late.lastLog().join('\n')}`);
    return children;
  }

  async #stop(children) {
    const ends = await this.#end(children);
    const at = ends.findIndex(({ code }) => code !== 0);
    if (at < 0) return;
    const { code, signal } = ends[at];
    throw new Error(`${children[at].name} ended with ${signal ?? `exit code ${code}`} instead of stopping cleanly`);
  }

  async #end(children) {
    for (const child of children) child.kill('SIGTERM');
    const timer = setTimeout(() => this.killAll(), STOP_MS);
    const ends = await Promise.all(children.map((child) => child.ended));
    clearTimeout(timer);
    for (const child of children) this.#children.delete(child);
    return ends;
  }
}

/** The settings of peers on loopback that believe each other. */
async function newTls(folder) {
  const authority = new Authority();
  return writeTlsFiles(folder, { ...authority.issue({ hosts: ['127.0.0.1'] }), ca: authority.certificate });
}

function withSettings(program, settings) {
  return { ...program, environment: { ...program.environment, ...settings } };
}

function describe(child) {
  return { name: child.name, pid: child.pid, url: child.program.url };
}
