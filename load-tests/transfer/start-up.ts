import { type BenchEnvironment, type BenchPeer, runShoal } from './environment.js';
import { type Spread, spreadOf } from './figures.js';
import { runMeasured } from './measured-command.js';

/** How long a command takes that does next to nothing. */
export interface StartUpFigure {
  readonly command: string;
  readonly seconds: Spread;
  readonly cpuSeconds: Spread;
  readonly peakBytes: number;
}

/** Starts commands beside a peer, each `runs` times, in turn with Node doing nothing, which none can be faster than. */
export async function measureStartUp(
  bench: BenchEnvironment,
  peer: BenchPeer,
  runs: number,
): Promise<readonly StartUpFigure[]> {
  const commands = [
    { command: 'node -e 0', run: () => runMeasured([process.execPath, '-e', '0'], bench) },
    { command: 'shoal version', run: () => runShoal(bench, peer, ['version']) },
    { command: 'shoal ls', run: () => runShoal(bench, peer, ['ls', '--quiet']) },
  ].map((entry) => ({ ...entry, seconds: [] as number[], cpuSeconds: [] as number[], peakBytes: 0 }));
  for (let i = 0; i < runs; i += 1) {
    for (const entry of commands) {
      const { seconds, cpuSeconds, peakBytes } = await entry.run();
      entry.seconds.push(seconds);
      entry.cpuSeconds.push(cpuSeconds);
      entry.peakBytes = Math.max(entry.peakBytes, peakBytes);
    }
  }
  return commands.map(({ command, seconds, cpuSeconds, peakBytes }) => ({
    command,
    seconds: spreadOf(seconds),
    cpuSeconds: spreadOf(cpuSeconds),
    peakBytes,
  }));
}
