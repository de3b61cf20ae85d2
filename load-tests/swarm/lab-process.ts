import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { LabNode } from './lab-plan.js';

/** How to start a program in a lab. */
export interface LabProcessOptions {
  readonly node: LabNode;
  readonly environment: NodeJS.ProcessEnv;
  /** Standard error goes there, and standard output unless somebody reads its lines. */
  readonly logFile: string;
  readonly onLine?: (line: string) => void;
}

/** A program that runs at a node of a lab. */
export class LabProcess {
  readonly #child: ChildProcess;
  readonly #command: string;
  readonly #logFile: string;
  /** Resolves when it is gone, to how it ended. */
  readonly ended: Promise<string>;

  constructor([command, ...args]: readonly [string, ...string[]], options: LabProcessOptions) {
    const { node, environment, logFile, onLine } = options;
    this.#command = command;
    this.#logFile = logFile;
    const log = openSync(logFile, 'a');
    const [launcher, ...launcherArgs] = [...node.inside, command];
    this.#child = spawn(launcher ?? command, [...launcherArgs, ...args], {
      env: environment,
      stdio: ['pipe', onLine === undefined ? log : 'pipe', log],
    });
    closeSync(log);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(code === 0 ? 'ok' : (signal ?? `exit code ${code}`)));
    });
    // A program that has ended reads no more; how it ended is what matters.
    this.#child.stdin?.on('error', () => undefined);
    if (this.#child.stdout !== null && onLine !== undefined) {
      createInterface({ input: this.#child.stdout }).on('line', onLine);
    }
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Ends it and resolves when it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.isRunning) this.#child.kill(signal);
    await this.ended;
  }

  /** Resolves when it has ended well, rejects when it has not. */
  async succeeds(): Promise<void> {
    const how = await this.ended;
    if (how !== 'ok') throw new Error(`${this.#command} failed (${how})${this.#lastWords()}`);
  }

  /** The log goes with all that the bench has written. */
  #lastWords(): string {
    const last = readFileSync(this.#logFile, 'utf8').trim().split('\n').at(-1);
    return last === undefined || last === '' ? '' : `: ${last}`;
  }
}
