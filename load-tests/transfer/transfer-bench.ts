import { mkdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { type DoorFigures, measureDoor } from './door.js';
import { type BenchEnvironment, type BenchSwarm, withSwarm } from './environment.js';
import { formatFileSize } from './figures.js';
import { type ListingFigures, measureListing } from './listing.js';
import { describeMachine } from './machine.js';
import { type ManyFigures, measureMany } from './many-at-once.js';
import { type Nginx, startNginx } from './nginx.js';
import { formatReport } from './report.js';
import { type Round, runRound, servedFolder } from './round.js';
import { measureStartUp, type StartUpFigure } from './start-up.js';

/*
 * The bench of transfers, each part in a swarm of its own, so that no figure depends on what ran before:
 *
 *   a small file, and how long commands take to start -> rounds with the large file -> (a very large file)
 *   -> many at once -> small files and first bytes over HTTP -> a full catalogue
 */

const SMALL_BYTES = 64 * 2 ** 20;
const BIG_FACTOR = 4;
const MANY = 50;
/** Many files together are this much larger than the large one. */
const MANY_FACTOR = 1.5625;

/** What to measure. */
export interface TransferBenchOptions {
  /** How often the large file is moved; the figures are medians of so many. */
  readonly runs: number;
  /** Size of the large file. */
  readonly bytes: number;
  /** Whether a file of four times that size is moved too. */
  readonly isBig: boolean;
  /** How often each short command is started. */
  readonly commands: number;
  /** Files in the full catalogue. */
  readonly files: number;
  /** How long small files are asked for over HTTP, each time. */
  readonly doorSeconds: number;
}

/** All that was found. */
export interface TransferFigures {
  readonly machine: string;
  /** Processes that wanted to run before we began, on average over a minute. */
  readonly loadBefore: number;
  /** What could not be measured, and what to install for it. */
  readonly missing: readonly string[];
  readonly startUp: readonly StartUpFigure[];
  /** What the rounds with one file each found, by its size. */
  readonly single: readonly { readonly bytes: number; readonly round: Round }[];
  readonly rounds: readonly Round[];
  readonly many: ManyFigures;
  readonly door: DoorFigures;
  readonly listing: ListingFigures;
}

/** Programs of others that are here. */
interface Rivals {
  readonly nginx: Nginx | undefined;
  readonly hasOpenssl: boolean;
}

/** Measures, and returns a report in Markdown. Rejects when anything fails: then there are no figures. */
export async function runTransferBench(bench: BenchEnvironment, options: TransferBenchOptions): Promise<string> {
  const loadBefore = loadavg()[0] ?? 0;
  await mkdir(servedFolder(bench));
  const machine = await describeMachine(bench.folder);
  const { nginx, hasOpenssl, missing } = await findRivals(bench);
  try {
    const parts = await measureParts(bench, options, { nginx, hasOpenssl });
    return formatReport({ machine, loadBefore, missing, ...parts }, options);
  } finally {
    await nginx?.stop();
  }
}

async function measureParts(bench: BenchEnvironment, options: TransferBenchOptions, rivals: Rivals) {
  const { nginx } = rivals;
  const { runs, bytes, doorSeconds } = options;
  const small = await measureSmall(bench, options);
  const rounds = await measureRounds(bench, options, rivals);
  const big = options.isBig ? [await measureBig(bench, bytes * BIG_FACTOR)] : [];
  const manyBytes = Math.round((bytes * MANY_FACTOR) / MANY);
  bench.say(`${MANY} of ${formatFileSize(manyBytes)} at once`);
  const many = await measureMany(bench, { count: MANY, bytes: manyBytes });
  const door = await measureDoor(bench, { rounds: runs, seconds: doorSeconds, bytes, nginx });
  bench.say(`a catalogue of ${options.files} files`);
  const listing = await measureListing(bench, options);
  return { startUp: small.startUp, single: [small, ...big], rounds, many, door, listing };
}

async function measureSmall(bench: BenchEnvironment, { commands }: TransferBenchOptions) {
  bench.say(`${formatFileSize(SMALL_BYTES)}, and starting commands`);
  return await withSwarm(bench, 2, async (swarm) => {
    const round = await runRound({ bench, swarm }, { number: 1, bytes: SMALL_BYTES });
    const startUp = swarm.peers[0] === undefined ? [] : await measureStartUp(bench, swarm.peers[0], commands);
    return { bytes: SMALL_BYTES, round, startUp };
  });
}

async function measureBig(bench: BenchEnvironment, bytes: number) {
  bench.say(formatFileSize(bytes));
  return await withSwarm(bench, 2, async (swarm) => {
    const round = await runRound({ bench, swarm }, { number: 1, bytes });
    return { bytes, round };
  });
}

async function measureRounds(
  bench: BenchEnvironment,
  { runs, bytes }: TransferBenchOptions,
  rivals: Rivals,
): Promise<readonly Round[]> {
  const measure = async (swarm: BenchSwarm, tlsSwarm: BenchSwarm) => {
    const found: Round[] = [];
    for (let number = 1; number <= runs; number += 1) {
      bench.say(`${formatFileSize(bytes)}, round ${number} of ${runs}`);
      found.push(await runRound({ bench, swarm, beside: { ...rivals, tlsSwarm } }, { number, bytes }));
    }
    return found;
  };
  return await withSwarm(bench, 2, (swarm) =>
    withSwarm(bench, 2, (tlsSwarm) => measure(swarm, tlsSwarm), { hasTls: true }),
  );
}

async function findRivals(bench: BenchEnvironment): Promise<Rivals & { readonly missing: readonly string[] }> {
  const [nginx, curl, openssl] = await Promise.all(['nginx', 'curl', 'openssl'].map((name) => bench.findProgram(name)));
  const missing = [
    ...(nginx === undefined ? ['nginx (Debian: `apt-get install nginx-light`)'] : []),
    ...(curl === undefined ? ['curl (Debian: `apt-get install curl`)'] : []),
    ...(openssl === undefined ? ['openssl (Debian: `apt-get install openssl`)'] : []),
  ];
  if (missing.length > 0) bench.say(`not installed, so nothing is compared with it: ${missing.join(', ')}`);
  const hasOpenssl = openssl !== undefined;
  if (nginx === undefined || curl === undefined) return { nginx: undefined, hasOpenssl, missing };
  const options = { program: nginx, port: await bench.freePort(), served: servedFolder(bench), signal: bench.signal };
  return { nginx: await startNginx(bench, options), hasOpenssl, missing };
}
