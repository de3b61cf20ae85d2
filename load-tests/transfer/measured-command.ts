import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { endedChildrenCpuSeconds, peakBytesOf } from './process-usage.js';

/** How often the memory of a running command is looked at: what it takes in its last moments may be missed. */
const LOOK_MS = 20;
const KEPT_LINES = 20;

/** A command that ran to its end. */
export interface MeasuredCommand {
  /** From before it was started until it was over. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly stdout: string;
}

/** What to run and how. */
export interface CommandOptions {
  /** All of it: nothing else is handed down. */
  readonly environment: NodeJS.ProcessEnv;
  /** Told each line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs a command to its end. Rejects when it cannot be started or fails, with the end of its standard error. Only one at
 * a time: the CPU time is that of all commands that ended meanwhile.
 */
export async function runMeasured(
  [command, ...args]: readonly [string, ...string[]],
  { environment, onErrorLine, signal }: CommandOptions,
): Promise<MeasuredCommand> {
  const cpuBefore = endedChildrenCpuSeconds();
  const beganMs = performance.now();
  const child = spawn(command, args, {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const errorLines: string[] = [];
  let stdout = '';
  let endedMs = beganMs;
  let peakBytes = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    errorLines.push(line);
    if (errorLines.length > KEPT_LINES) errorLines.shift();
    onErrorLine?.(line);
  });
  const look = () => {
    peakBytes = (child.pid === undefined ? undefined : peakBytesOf(child.pid)) ?? peakBytes;
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  child.once('exit', () => {
    endedMs = performance.now();
    clearInterval(timer);
  });
  try {
    const how = await new Promise<string | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killedBy) => resolve(code === 0 ? undefined : (killedBy ?? `exit code ${code}`)));
    });
    if (how !== undefined) {
      throw new Error(`failed (${how}): ${[command, ...args].join(' ')}\n${errorLines.join('\n')}`);
    }
  } finally {
    clearInterval(timer);
  }
  return {
    seconds: (endedMs - beganMs) / 1000,
    cpuSeconds: endedChildrenCpuSeconds() - cpuBefore,
    peakBytes,
    stdout,
  };
}
