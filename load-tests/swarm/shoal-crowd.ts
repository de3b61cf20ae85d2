import { mkdir, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { runMeasured } from '../transfer/measured-command.js';
import type { RunningPeer, RunningProgram, SwarmBenchEnvironment } from './bench-environment.js';
import { ControlDoor } from './control-door.js';
import type { Crowd, CrowdFile, CrowdSession, CrowdSystem } from './crowd.js';
import type { Lab } from './lab.js';
import { HUB_ADDRESS } from './lab-plan.js';
import { LabProcess } from './lab-process.js';

/** Ours: one index where nothing is shaped, and a peer at each node. */
export function shoalSystem(bench: SwarmBenchEnvironment): CrowdSystem {
  return {
    name: 'shoal',
    title: 'Shoal',
    open: async (lab, folder) => {
      const session = new ShoalSession(bench, lab, folder);
      await session.start();
      return session;
    },
  };
}

class ShoalSession implements CrowdSession {
  readonly #bench: SwarmBenchEnvironment;
  readonly #lab: Lab;
  readonly #folder: string;
  readonly #peers: RunningPeer[] = [];
  readonly #doors: ControlDoor[] = [];
  #index: RunningProgram | undefined;

  constructor(bench: SwarmBenchEnvironment, lab: Lab, folder: string) {
    this.#bench = bench;
    this.#lab = lab;
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    this.#index = await this.#bench.startIndex({ folder: this.#folder, address: HUB_ADDRESS });
    await Promise.all(this.#lab.nodes.map((_, number) => this.startPeer(number)));
  }

  get peers(): readonly RunningPeer[] {
    return this.#peers;
  }

  door(number: number): ControlDoor {
    const door = this.#doors[number];
    if (door === undefined) throw new RangeError(`there is no node ${number}`);
    return door;
  }

  /** Runs a command beside a peer, as a person would there. */
  async command(number: number, argv: readonly string[]): Promise<void> {
    const { shoal, environment } = this.#bench;
    const [node, peer] = [this.#lab.nodes[number], this.#peers[number]];
    if (node === undefined || peer === undefined) throw new RangeError(`there is no node ${number}`);
    const command = new LabProcess([process.execPath, shoal, ...argv, '--quiet'], {
      node,
      environment: { ...environment, SHOAL_SOCKET: resolve(peer.socket) },
      logFile: join(this.#folder, `command-${number}.log`),
    });
    await command.succeeds();
  }

  async startPeer(number: number): Promise<void> {
    const node = this.#lab.nodes[number];
    if (node === undefined || this.#index === undefined) throw new RangeError(`there is no node ${number}`);
    const peer = await this.#bench.startPeer({ folder: this.#folder, node, number, index: this.#index });
    this.#peers[number] = peer;
    this.#doors[number] = await ControlDoor.connect(peer.socket);
  }

  async ready(file: CrowdFile): Promise<Crowd> {
    const { shoal, environment, signal } = this.#bench;
    const put = await runMeasured([process.execPath, shoal, 'put', file.path, '--quiet'], {
      environment: { ...environment, SHOAL_SOCKET: this.#peers[0]?.socket },
      signal,
    });
    const targets = join(this.#folder, 'got');
    await mkdir(targets, { recursive: true });
    const ref = file.files === undefined ? put.stdout.trim() : `${basename(file.path)}/`;
    const crowd = new ShoalCrowd(this, { ref, file, targets, publishSeconds: put.seconds });
    await crowd.begin();
    return crowd;
  }

  async close(): Promise<void> {
    for (const door of this.#doors) door.close();
    const running = [...this.#peers, ...(this.#index === undefined ? [] : [this.#index])];
    for (const program of running) {
      program.kill('SIGKILL');
      await program.ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

class ShoalCrowd implements Crowd {
  readonly #session: ShoalSession;
  /** Seconds that the put took. */
  readonly publishSeconds: number;
  readonly #ref: string;
  readonly #file: CrowdFile;
  readonly #targets: string;
  readonly #wanted = new Set<number>();
  readonly #delivered = new Map<number, Promise<void>>();
  #receivedBefore = 0;
  #isCounted = true;

  constructor(
    session: ShoalSession,
    what: { readonly ref: string; readonly file: CrowdFile; readonly targets: string; readonly publishSeconds: number },
  ) {
    this.#session = session;
    this.publishSeconds = what.publishSeconds;
    this.#ref = what.ref;
    this.#file = what.file;
    this.#targets = what.targets;
  }

  async begin(): Promise<void> {
    this.#receivedBefore = await this.#received();
  }

  async fetch(node: number): Promise<void> {
    this.#wanted.add(node);
    if (this.#file.files !== undefined)
      return this.#session.command(node, ['get', this.#ref, '--to', this.#path(node)]);
    // That a copy is made of what is here is not what is measured: other systems keep the file itself, and so would we
    // where the file system shares blocks.
    await new Promise<void>((resolve, reject) => {
      const delivered = this.#session.door(node).get(this.#ref, this.#path(node), resolve);
      delivered.catch(reject);
      this.#delivered.set(node, delivered);
    });
  }

  async kill(node: number): Promise<void> {
    // What it has counted goes with it.
    this.#isCounted = false;
    const peer = this.#session.peers[node];
    this.#session.door(node).close();
    peer?.kill('SIGKILL');
    await peer?.ended;
  }

  async restart(node: number): Promise<void> {
    await this.#session.startPeer(node);
    await this.fetch(node);
  }

  get pids(): readonly number[] {
    return this.#session.peers.map(({ pid }) => pid);
  }

  async duplicateBytes(): Promise<number | undefined> {
    if (!this.#isCounted) return undefined;
    return (await this.#received()) - this.#receivedBefore - this.#wanted.size * this.#file.bytes;
  }

  async target(node: number): Promise<string> {
    await this.#delivered.get(node);
    return this.#path(node);
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.#delivered.values());
    for (const node of this.#wanted) await rm(this.#path(node), { recursive: true, force: true });
  }

  #path(node: number): string {
    return join(this.#targets, `${basename(this.#file.path)}-${node}`);
  }

  async #received(): Promise<number> {
    const all = await Promise.all(this.#session.peers.map(({ url }) => receivedBytes(url)));
    return all.reduce((sum, bytes) => sum + bytes, 0);
  }
}

/** Bytes that a peer has received from others since it was started: chunks, and whole small files. */
async function receivedBytes(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return ['exchange', 'download'].reduce((sum, kind) => {
    const bytes = new RegExp(`^shoal_peer_received_bytes_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(metrics)?.[1];
    if (bytes === undefined) throw new Error(`${url}/metrics does not say how much was received by ${kind}`);
    return sum + Number(bytes);
  }, 0);
}
