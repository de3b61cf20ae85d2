import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/*
 * Links that a program shapes, for kernels that have no discipline for it. It costs CPU time that the programs under test
 * then lack, so it is the last choice.
 */

// From dist/, where this runs, and from the sources, where tests run.
const SCRIPT = fileURLToPath(new URL('../../../load-tests/swarm/userland-shaper.py', import.meta.url));
const PYTHON = 'python3';

/** A link of a node, as the program takes it: two devices that it makes, and what each direction carries. */
export interface Link {
  /** The node's network namespace, as a path. */
  readonly namespace: string;
  /** The device in there. */
  readonly card: string;
  /** The device in the namespace of whoever starts it. */
  readonly port: string;
  readonly bytesPerSecond: number;
  readonly burstBytes: number;
  /** What may wait. */
  readonly limitBytes: number;
}

/** Rejects when links cannot be shaped in this way here. */
export async function probeUserlandShaper(): Promise<void> {
  await promisify(execFile)(PYTHON, [SCRIPT, '--probe']);
}

/** The running program. The devices go with it. */
export class UserlandShaper {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when the devices are there. Rejects when the program ends before. */
  static async start(links: readonly Link[]): Promise<UserlandShaper> {
    const child = spawn(PYTHON, [SCRIPT, JSON.stringify(links)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.once('line', () => resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the program that shapes links ended with ${code}`)));
    });
    return new UserlandShaper(child);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}
