import { setTimeout as wait } from 'node:timers/promises';
import { endedChildrenCpuSeconds, peakBytesOf, usageOf } from '../transfer/process-usage.js';
import type { Crowd, CrowdFile } from './crowd.js';
import type { Lab } from './lab.js';
import type { Reading } from './link-traffic.js';
import type { Incident, Scenario } from './scenarios.js';

/*
 * One file to one crowd. All nodes begin in the same moment; the counters of the links are read all the while, and tell
 * when it is time for an incident, whatever the system.
 */

const READ_MS = 50;
/** When nothing moves for so long, who has not finished will not. */
const STALL_MS = 20_000;
/** A first holder that has sent a whole copy and then nothing for so long will not send much more. */
const SPENT_MS = 200;

/** What one node saw. */
export interface NodeRun {
  readonly node: number;
  /** From the start of the run. */
  readonly beganSeconds: number;
  /** Undefined when it did not finish. */
  readonly finishedSeconds: number | undefined;
}

/** What one run found. */
export interface CrowdRun {
  readonly nodes: readonly NodeRun[];
  /** Bytes that left the first holder, headers included. */
  readonly firstHolderBytes: number;
  readonly duplicateBytes: number | undefined;
  /** Of all programs at all nodes. */
  readonly cpuSeconds: number;
  /** Before the run; undefined where there is no such step. */
  readonly publishSeconds?: number | undefined;
  /** The most memory that one of these programs took since it was started, as far as they still run. */
  readonly peakBytes: number;
  readonly readings: readonly Reading[];
  /** When the incident came, in seconds from the start; undefined when there was none or its time never came. */
  readonly incidentSeconds: number | undefined;
}

/** What a run works with. */
export interface CrowdRunDeps {
  readonly lab: Lab;
  readonly crowd: Crowd;
  readonly signal: AbortSignal;
}

/** Runs until everybody has the file or nothing moves any more. */
export async function runCrowd(deps: CrowdRunDeps, scenario: Scenario, file: CrowdFile): Promise<CrowdRun> {
  const run = new RunningCrowd(deps, scenario, file);
  return await run.toEnd();
}

class RunningCrowd {
  readonly #deps: CrowdRunDeps;
  readonly #incident: Incident | undefined;
  readonly #file: CrowdFile;
  readonly #readings: Reading[] = [];
  readonly #began = new Map<number, number>();
  readonly #finished = new Map<number, number>();
  readonly #killed = new Set<number>();
  readonly #gaveUp = new Set<number>();
  readonly #receivers: readonly number[];
  #beganMs = 0;
  #incidentMs: number | undefined;
  #failure: Error | undefined;

  constructor(deps: CrowdRunDeps, { incident, mbits }: Scenario, file: CrowdFile) {
    this.#deps = deps;
    this.#incident = incident;
    this.#file = file;
    this.#receivers = mbits.slice(1).map((_, at) => at + 1);
  }

  async toEnd(): Promise<CrowdRun> {
    const { lab, crowd, signal } = this.#deps;
    const [first] = lab.nodes;
    if (first === undefined) throw new RangeError('a crowd has a first holder');
    const uplinkBefore = await lab.uplinkBytes(first);
    const cpuBefore = cpuSeconds(crowd);
    this.#beganMs = performance.now();
    this.#readings.push(lab.read());
    const late = this.#incident?.kind === 'late-comer' ? this.#receivers.at(-1) : undefined;
    for (const node of this.#receivers) if (node !== late) this.#begin(node, () => crowd.fetch(node));
    while (!this.#isOver()) {
      await wait(READ_MS, undefined, { signal });
      if (this.#failure !== undefined) throw this.#failure;
      this.#readings.push(lab.read());
      this.#watch(late);
    }
    const cpu = cpuSeconds(crowd) - cpuBefore;
    this.#readings.push(lab.read());
    return {
      nodes: this.#receivers.map((node) => this.#nodeRun(node)),
      firstHolderBytes: (await lab.uplinkBytes(first)) - uplinkBefore,
      duplicateBytes: await crowd.duplicateBytes(),
      cpuSeconds: cpu,
      publishSeconds: crowd.publishSeconds,
      peakBytes: Math.max(0, ...crowd.pids.map((pid) => peakBytesOf(pid) ?? 0)),
      readings: this.#readings,
      incidentSeconds: this.#incidentMs === undefined ? undefined : (this.#incidentMs - this.#beganMs) / 1000,
    };
  }

  #begin(node: number, fetch: () => Promise<void>): void {
    if (!this.#began.has(node)) this.#began.set(node, performance.now());
    void this.#follow(node, fetch);
  }

  async #follow(node: number, fetch: () => Promise<void>): Promise<void> {
    try {
      await fetch();
      this.#finished.set(node, performance.now());
    } catch (error) {
      // Who is killed does not get to say how it went.
      if (this.#killed.has(node)) return;
      // After an incident it is a finding that somebody gives up; otherwise there is nothing to be measured.
      if (this.#incidentMs !== undefined) this.#gaveUp.add(node);
      else this.#failure = error instanceof Error ? error : new Error(String(error));
    }
  }

  #isOver(): boolean {
    if (this.#receivers.every((node) => this.#finished.has(node) || this.#gaveUp.has(node))) return true;
    const last = this.#readings.at(-1);
    if (last === undefined) return false;
    const received = (reading: Reading) => reading.nodes.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    const before = this.#readings.findLast(({ atMs }) => atMs <= last.atMs - STALL_MS);
    // A few packets a second keep connections alive; they bring no file.
    return before !== undefined && received(last) - received(before) < this.#file.bytes / 100;
  }

  #watch(late: number | undefined): void {
    const incident = this.#incident;
    if (incident === undefined || this.#incidentMs !== undefined) return;
    const { crowd } = this.#deps;
    if (incident.kind === 'first-holder-dies') {
      if (this.#sentCopies() < incident.copies && !this.#isSpent()) return;
      this.#happened(crowd.kill(0));
    } else if (this.#shareReceived(late) >= incident.share) {
      if (incident.kind === 'late-comer' && late !== undefined) {
        this.#happened(Promise.resolve());
        this.#begin(late, () => crowd.fetch(late));
      } else if (incident.kind === 'restart') {
        const struck = this.#receivers.slice(0, Math.round(this.#receivers.length * incident.part));
        this.#happened(Promise.all(struck.map((node) => this.#strike(node))));
      }
    }
  }

  async #strike(node: number): Promise<void> {
    const { crowd } = this.#deps;
    if (this.#finished.has(node)) return;
    this.#killed.add(node);
    await crowd.kill(node);
    this.#killed.delete(node);
    this.#begin(node, () => crowd.restart(node));
  }

  #happened(what: Promise<unknown>): void {
    this.#incidentMs = performance.now();
    what.catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
  }

  #sentCopies(): number {
    const [first, last] = [this.#readings[0], this.#readings.at(-1)];
    return ((last?.nodes[0]?.sentBytes ?? 0) - (first?.nodes[0]?.sentBytes ?? 0)) / this.#file.bytes;
  }

  /** Whether the first holder has sent all of the file and nothing more for a while: some need it less than others. */
  #isSpent(): boolean {
    const last = this.#readings.at(-1);
    const before = this.#readings.findLast(({ atMs }) => last !== undefined && atMs <= last.atMs - SPENT_MS);
    if (last === undefined || before === undefined || this.#sentCopies() < 1) return false;
    const sent = (last.nodes[0]?.sentBytes ?? 0) - (before.nodes[0]?.sentBytes ?? 0);
    return sent < this.#file.bytes / 1000;
  }

  /** How much of the file nodes have, on average, by what has come to them. */
  #shareReceived(late: number | undefined): number {
    const [first, last] = [this.#readings[0], this.#readings.at(-1)];
    const counted = this.#receivers.filter((node) => node !== late);
    const bytes = counted.map(
      (node) => (last?.nodes[node]?.receivedBytes ?? 0) - (first?.nodes[node]?.receivedBytes ?? 0),
    );
    return bytes.reduce((sum, each) => sum + each, 0) / counted.length / this.#file.bytes;
  }

  #nodeRun(node: number): NodeRun {
    const seconds = (ms: number | undefined) => (ms === undefined ? undefined : (ms - this.#beganMs) / 1000);
    return {
      node,
      beganSeconds: seconds(this.#began.get(node)) ?? 0,
      finishedSeconds: seconds(this.#finished.get(node)),
    };
  }
}

/** Of programs that run and of those that have run: one that ends moves from the first to the second. */
function cpuSeconds(crowd: Crowd): number {
  return crowd.pids.reduce((sum, pid) => sum + cpuOf(pid), endedChildrenCpuSeconds());
}

function cpuOf(pid: number): number {
  try {
    return usageOf(pid).cpuSeconds;
  } catch {
    // It has ended, and is among those that have run.
    return 0;
  }
}
