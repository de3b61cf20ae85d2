import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FilePage, ListQuery } from '../../index-server/api/files.js';
import { type BenchEnvironment, type BenchPeer, runShoal, withSwarm } from './environment.js';
import { type Spread, spreadOf } from './figures.js';
import { fillCatalogue, type IndexSeat, nameOfFile, takeSeat } from './full-catalogue.js';
import { usageOf } from './process-usage.js';
import { publish } from './shoal-transfer.js';
import { makeRandomFile } from './work-file.js';

const QUERY_RUNS = 30;
const EXAMPLE = 'example.bin';

/** One question to a full catalogue. */
interface ListingFigure {
  /** As typed after `shoal`. */
  readonly command: string;
  /** How many files the answer has. */
  readonly files: number;
  /** Of the whole command, start of Node included. */
  readonly commandSeconds: Spread;
  /** Of the answer of the index alone. */
  readonly answerSeconds: Spread;
}

/** What was found of a full catalogue. */
export interface ListingFigures {
  /** How long the index took to check and store the records of all files. */
  readonly fillSeconds: number;
  readonly indexPeakBytes: number;
  readonly figures: readonly ListingFigure[];
}

/** Asks a catalogue of so many files for pages of it, with each command so many times. */
export async function measureListing(
  bench: BenchEnvironment,
  options: { readonly files: number; readonly commands: number },
): Promise<ListingFigures> {
  return await withSwarm(bench, 1, async (swarm) => {
    const peer = swarm.peers[0] as BenchPeer;
    await publishExample(bench, peer);
    const seat = await takeSeat(swarm, bench.signal);
    const fillSeconds = await fillCatalogue(swarm, seat, {
      count: options.files,
      example: EXAMPLE,
      signal: bench.signal,
    });
    const figures: ListingFigure[] = [];
    for (const question of questions(options.files)) {
      figures.push(await ask({ bench, peer, seat }, { question, runs: options.commands }));
    }
    await seat.leave();
    return { fillSeconds, figures, indexPeakBytes: usageOf(swarm.index.pid).peakBytes };
  });
}

async function publishExample(bench: BenchEnvironment, peer: BenchPeer): Promise<void> {
  const source = join(bench.folder, EXAMPLE);
  try {
    await makeRandomFile(source, 1, bench.signal);
    await publish(bench, peer, source);
  } finally {
    await rm(source, { force: true });
  }
}

interface Question {
  readonly args: readonly string[];
  ask(seat: IndexSeat, signal: AbortSignal): Promise<FilePage>;
}

/** Both ends of the catalogue: a page must cost the same wherever it is. */
function questions(count: number): readonly Question[] {
  const last = nameOfFile(count - 1);
  const folder = last.slice(0, last.indexOf('/') + 1);
  return [
    listing(['ls'], {}),
    listing(['ls', '--limit', '1000'], { limit: 1000 }),
    listing(['ls', folder], { prefix: folder }),
    listing(['ls', last], { prefix: last }),
    {
      args: ['find', 'part', '0007'],
      ask: ({ client, auth }, signal) => client.search(auth, { text: 'part 0007' }, signal),
    },
  ];
}

function listing(args: readonly string[], query: ListQuery): Question {
  return { args, ask: ({ client, auth }, signal) => client.list(auth, query, signal) };
}

async function ask(
  { bench, peer, seat }: { readonly bench: BenchEnvironment; readonly peer: BenchPeer; readonly seat: IndexSeat },
  { question, runs }: { readonly question: Question; readonly runs: number },
): Promise<ListingFigure> {
  const commandSeconds: number[] = [];
  const answerSeconds: number[] = [];
  let files = 0;
  for (let i = 0; i < runs; i += 1) {
    const { seconds, stdout } = await runShoal(bench, peer, [...question.args, '--output', 'name', '--quiet']);
    commandSeconds.push(seconds);
    files = stdout.split('\n').length - 1;
  }
  for (let i = 0; i < QUERY_RUNS; i += 1) {
    const beganMs = performance.now();
    const page = await question.ask(seat, bench.signal);
    answerSeconds.push((performance.now() - beganMs) / 1000);
    if (page.files.length !== files)
      throw new Error(`'${question.args.join(' ')}' does not always give the same files`);
  }
  return {
    command: question.args.join(' '),
    files,
    commandSeconds: spreadOf(commandSeconds),
    answerSeconds: spreadOf(answerSeconds),
  };
}
