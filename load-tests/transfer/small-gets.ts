import { fileURLToPath } from 'node:url';
import type { BenchEnvironment } from './environment.js';
import type { GetLoad, GetLoadFigures } from './get-load.js';
import { type MeasuredCommand, runMeasured } from './measured-command.js';
import { usageOf } from './process-usage.js';

/*
 * Small files over HTTP, many a second: the same generator, in a process of its own, asks each server in turn for the
 * same files. Before it counts, it asks for a while, so that both run as programs do that have run for long.
 */

const WARM_UP_SECONDS = 2;
const PROGRAM = fileURLToPath(new URL('get-load-process.js', import.meta.url));

/** A server, and how it is asked. */
export interface SmallGetsWay {
  readonly title: string;
  readonly load: Omit<GetLoad, 'seconds'>;
  /** The processes that do the work, whose CPU time counts. */
  readonly pids: { readonly server: number; readonly index?: number };
}

/** CPU time of one request, in seconds. `index` is undefined where no index is asked. */
interface CpuSeconds {
  readonly server: number;
  readonly index: number | undefined;
  /** The generator itself, its start included. */
  readonly generator: number;
}

/** What was found in one round. */
export interface SmallGets extends GetLoadFigures {
  readonly title: string;
  readonly cpuSeconds: CpuSeconds;
}

/** Asks each of the ways for so long, `rounds` times, in turn: backwards in every second round. */
export async function measureSmallGets(
  bench: BenchEnvironment,
  ways: readonly SmallGetsWay[],
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<readonly SmallGets[]> {
  const found: SmallGets[] = [];
  for (const way of ways) await generate(bench, { ...way.load, seconds: WARM_UP_SECONDS });
  for (let round = 0; round < rounds; round += 1) {
    for (const way of round % 2 === 0 ? ways : [...ways].reverse()) found.push(await measureOnce(bench, way, seconds));
  }
  return found;
}

async function measureOnce(bench: BenchEnvironment, way: SmallGetsWay, seconds: number): Promise<SmallGets> {
  const { server, index } = way.pids;
  const cpu = () => ({
    server: usageOf(server).cpuSeconds,
    index: index === undefined ? undefined : usageOf(index).cpuSeconds,
  });
  const before = cpu();
  const command = await generate(bench, { ...way.load, seconds });
  const after = cpu();
  const figures = JSON.parse(command.stdout) as GetLoadFigures;
  const used = (from = 0, to = 0) => (to - from) / figures.count;
  return {
    ...figures,
    title: way.title,
    cpuSeconds: {
      server: used(before.server, after.server),
      index: index === undefined ? undefined : used(before.index, after.index),
      generator: command.cpuSeconds / figures.count,
    },
  };
}

function generate(bench: BenchEnvironment, load: GetLoad): Promise<MeasuredCommand> {
  return runMeasured([process.execPath, PROGRAM, JSON.stringify(load)], bench);
}
