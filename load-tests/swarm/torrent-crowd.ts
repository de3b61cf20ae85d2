import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { Crowd, CrowdFile, CrowdSession, SystemName } from './crowd.js';
import type { Lab } from './lab.js';
import type { LabNode } from './lab-plan.js';
import type { LabProcess } from './lab-process.js';
import { makeTorrent } from './torrent.js';
import { Tracker } from './tracker.js';

/*
 * What BitTorrent clients have in common: a torrent, a tracker where nothing is shaped, a folder for each node, one program
 * for each node that goes on sending when it has everything.
 */

/** One node's program, as a client of BitTorrent starts it. */
export interface TorrentClient {
  readonly process: LabProcess;
  /** Resolves when it listens and knows the torrent, and holds still until {@link go}. */
  readonly ready: Promise<void>;
  go(): void;
  /** Resolves when it has everything, verified. */
  readonly complete: Promise<void>;
  /** Undefined where it does not tell. */
  duplicateBytes(): Promise<number | undefined>;
}

/** What a client is started with. */
export interface TorrentTask {
  readonly bench: SwarmBenchEnvironment;
  readonly node: LabNode;
  /** Everybody else. */
  readonly others: readonly LabNode[];
  readonly torrentFile: string;
  /** Where the file is, or comes to be. */
  readonly folder: string;
  readonly logFile: string;
  readonly trackerUrl: string;
  readonly fileName: string;
}

/** A BitTorrent client. */
export interface TorrentKind {
  readonly name: SystemName;
  readonly title: string;
  /** Size of pieces that suits it best. */
  readonly pieceBytes: number;
  start(task: TorrentTask): TorrentClient;
}

interface SessionParts {
  readonly bench: SwarmBenchEnvironment;
  readonly lab: Lab;
  readonly folder: string;
}

interface CrowdParts {
  readonly kind: TorrentKind;
  readonly tracker: Tracker;
  readonly file: CrowdFile;
  readonly torrentFile: string;
}

/** Lets a BitTorrent client bring files to crowds. */
export class TorrentSession implements CrowdSession {
  readonly #parts: SessionParts;
  readonly #kind: TorrentKind;

  constructor(parts: SessionParts, kind: TorrentKind) {
    this.#parts = parts;
    this.#kind = kind;
  }

  async ready(file: CrowdFile): Promise<Crowd> {
    const { lab, folder } = this.#parts;
    await mkdir(folder, { recursive: true });
    const tracker = await Tracker.start(lab, lab.nodes.length);
    const torrentFile = join(folder, `${basename(file.path)}.torrent`);
    const torrent = await makeTorrent(file.path, { pieceBytes: this.#kind.pieceBytes, tracker: tracker.url });
    await writeFile(torrentFile, torrent);
    const crowd = new TorrentCrowd(this.#parts, { kind: this.#kind, tracker, file, torrentFile });
    try {
      await crowd.begin();
    } catch (error) {
      await crowd.end();
      throw error;
    }
    return crowd;
  }

  async close(): Promise<void> {
    await rm(this.#parts.folder, { recursive: true, force: true });
  }
}

class TorrentCrowd implements Crowd {
  readonly #parts: SessionParts;
  readonly #task: CrowdParts;
  readonly #clients: TorrentClient[] = [];
  #isCounted = true;

  constructor(parts: SessionParts, task: CrowdParts) {
    this.#parts = parts;
    this.#task = task;
  }

  async begin(): Promise<void> {
    const { file } = this.#task;
    for (const node of this.#parts.lab.nodes.keys()) {
      await mkdir(this.#nodeFolder(node), { recursive: true });
      if (node === 0) await link(file.path, this.#path(0));
      this.#start(node);
    }
    await Promise.all(this.#clients.map(({ ready }) => ready));
    this.#clients[0]?.go();
    await this.#clients[0]?.complete;
  }

  async fetch(node: number): Promise<void> {
    const client = this.#clients[node];
    client?.go();
    await client?.complete;
  }

  async kill(node: number): Promise<void> {
    this.#isCounted = false;
    await this.#clients[node]?.process.end('SIGKILL');
  }

  async restart(node: number): Promise<void> {
    this.#start(node);
    await this.#clients[node]?.ready;
    await this.fetch(node);
  }

  get pids(): readonly number[] {
    return this.#clients.flatMap(({ process }) =>
      process.pid !== undefined && process.isRunning ? [process.pid] : [],
    );
  }

  async duplicateBytes(): Promise<number | undefined> {
    if (!this.#isCounted) return undefined;
    const all = await Promise.all(this.#clients.map((client) => client.duplicateBytes()));
    return all.reduce((sum, bytes) => (sum === undefined || bytes === undefined ? undefined : sum + bytes), 0);
  }

  target(node: number): Promise<string> {
    return Promise.resolve(this.#path(node));
  }

  #path(node: number): string {
    return join(this.#nodeFolder(node), basename(this.#task.file.path));
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map(({ process }) => process.end('SIGKILL')));
    await this.#task.tracker.stop();
    for (const node of this.#parts.lab.nodes.keys()) {
      await rm(this.#nodeFolder(node), { recursive: true, force: true });
    }
  }

  #start(number: number): void {
    const { bench, lab, folder } = this.#parts;
    const { kind, torrentFile, tracker, file } = this.#task;
    const node = lab.nodes[number];
    if (node === undefined) throw new RangeError(`there is no node ${number}`);
    const client = kind.start({
      bench,
      node,
      others: lab.nodes.filter((other) => other !== node),
      torrentFile,
      folder: this.#nodeFolder(number),
      logFile: join(folder, `${kind.name}-${number}.log`),
      trackerUrl: tracker.url,
      fileName: basename(file.path),
    });
    // Whoever waits for one of the two is told; nobody waits for both.
    client.ready.catch(() => undefined);
    client.complete.catch(() => undefined);
    this.#clients[number] = client;
  }

  #nodeFolder(node: number): string {
    return join(this.#parts.folder, String(node));
  }
}
