import type { MeasuredCommand } from './measured-command.js';
import { runMeasured } from './measured-command.js';

/** A program of a swarm that runs for a measurement. */
interface BenchProgram {
  readonly name: string;
  readonly pid: number;
  /** Base URL of its HTTP door. */
  readonly url: string;
}

/** A peer. */
export interface BenchPeer extends BenchProgram {
  /** Path of its control socket. */
  readonly socket: string;
}

/** One index and some peers, each a process of its own, with nothing in them yet. */
export interface BenchSwarm {
  readonly index: BenchProgram & { /** Its data. */ readonly folder: string };
  readonly peers: readonly BenchPeer[];
  /** Stops all of them and removes their data. Rejects when one did not stop cleanly. */
  stop(): Promise<void>;
}

/** How the peers of a swarm are set. */
export interface SwarmKind {
  /** Whether they speak mutual TLS to each other. */
  readonly hasTls: boolean;
}

/** What a measurement is given by whoever starts it. */
export interface BenchEnvironment {
  /** An empty folder for everything that is written, on the file system that is measured. */
  readonly folder: string;
  /** What commands see, without any setting of Shoal. */
  readonly environment: NodeJS.ProcessEnv;
  /** The built command line. */
  readonly shoal: string;
  /** Path of a program in PATH; undefined when it is not installed. */
  findProgram(name: string): Promise<string | undefined>;
  /** A port on which nobody listens. */
  freePort(): Promise<number>;
  startSwarm(peers: number, kind?: SwarmKind): Promise<BenchSwarm>;
  /** For the person who waits. */
  say(text: string): void;
  readonly signal: AbortSignal;
}

/**
 * Runs `shoal ARGS` beside a peer (the one that `npx shoal` runs), `input` being a file that comes to it through a pipe.
 * Rejects when it fails.
 */
export function runShoal(
  bench: Pick<BenchEnvironment, 'environment' | 'shoal' | 'signal'>,
  peer: BenchPeer,
  args: readonly string[],
  { onErrorLine, input }: { readonly onErrorLine?: (line: string) => void; readonly input?: string } = {},
): Promise<MeasuredCommand> {
  const command = [process.execPath, bench.shoal, ...args] as const;
  return runMeasured(input === undefined ? command : ['sh', '-c', 'cat "$0" | "$@"', input, ...command], {
    environment: { ...bench.environment, SHOAL_SOCKET: peer.socket },
    signal: bench.signal,
    ...(onErrorLine === undefined ? {} : { onErrorLine }),
  });
}

/** Runs `work` in a swarm of its own. */
export async function withSwarm<T>(
  bench: Pick<BenchEnvironment, 'startSwarm'>,
  peers: number,
  work: (swarm: BenchSwarm) => Promise<T>,
  kind?: SwarmKind,
): Promise<T> {
  const swarm = await bench.startSwarm(peers, kind);
  let result: T;
  try {
    result = await work(swarm);
  } catch (error) {
    // What stopped the work is what the person should read; how the programs ended stands in their logs.
    await swarm.stop().catch(() => undefined);
    throw error;
  }
  await swarm.stop();
  return result;
}
