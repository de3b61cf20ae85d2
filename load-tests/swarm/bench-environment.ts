import type { LabNode } from './lab-plan.js';

/** A program of Shoal that runs, and is ready. */
export interface RunningProgram {
  readonly name: string;
  readonly pid: number;
  /** Base URL of its HTTP door. */
  readonly url: string;
  /** Settles when it is gone. */
  readonly ended: Promise<unknown>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** A peer. */
export interface RunningPeer extends RunningProgram {
  /** Path of its control socket. */
  readonly socket: string;
}

/** What the bench of crowds is given by whoever starts it. */
export interface SwarmBenchEnvironment {
  /** An empty folder for everything that is written. */
  readonly folder: string;
  /** What programs see, without any setting of Shoal. */
  readonly environment: NodeJS.ProcessEnv;
  /** The built command line. */
  readonly shoal: string;
  /** Path of a program in PATH; undefined when it is not installed. */
  findProgram(name: string): Promise<string | undefined>;
  /** Starts an index where nothing is shaped. */
  startIndex(options: { readonly folder: string; readonly address: string }): Promise<RunningProgram>;
  /** Starts a peer at a node; on the data that is in `folder`, if there is any. */
  startPeer(options: {
    readonly folder: string;
    readonly node: LabNode;
    readonly number: number;
    readonly index: RunningProgram;
  }): Promise<RunningPeer>;
  /** For the person who waits. */
  say(text: string): void;
  readonly signal: AbortSignal;
}
