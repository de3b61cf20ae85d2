import { fork } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setHeapGrowth } from '../../common/heap-growth.js';
import { recordsRevision } from '../../index-server/api/peers.js';
import { IndexClient } from '../../index-server/client.js';
import { describeMachine } from '../transfer/machine.js';
import { usageOf } from '../transfer/process-usage.js';
import { type FilledStore, filledStore } from './filled-store.js';
import { LoadClient } from './load-client.js';
import { type OpenLoopFigures, runOpenLoop } from './open-loop.js';
import { BenchPeer, type SwarmFigures, type SwarmStart } from './peer-swarm.js';
import { idOf } from './planned-catalogue.js';
import { locateById, otherQuestions, publicFile, type Question } from './questions.js';
import { formatReport } from './report.js';
import { SwarmChild } from './swarm-child.js';

/*
 * The bench of the index server, a process of its own on an embedded store:
 *
 *   fill a small store -> index on it, few peers -> locate
 *   fill a large store -> index on it, all peers join and announce -> their heartbeats alone -> questions, while
 *   heartbeats go on -> one peer with many files restarts
 */

const SMALL_FILES = 10_000;
/** In the small swarm, so that each peer holds as many files as in the large one by default. */
const SMALL_PEERS = 100;
const RESTARTED_FILES = 10_000;
const CONNECTIONS = 128;
const WARM_SECONDS = 1;
const TIMEOUT_MS = 60_000;
/** Who asks should not be what is waited for. */
const HEAP_GROWTH_PERCENT = 300;

/** An index that runs for a measurement. */
export interface BenchIndex {
  readonly pid: number;
  readonly url: string;
  /** Rejects when it did not stop cleanly. */
  stop(): Promise<void>;
}

/** What a measurement is given by whoever starts it. */
export interface IndexBenchEnvironment {
  /** For stores and logs. */
  readonly folder: string;
  /** The program on the data in `folder`, which stays when it stops. */
  startIndex(folder: string): Promise<BenchIndex>;
  /** For the person who waits. */
  say(text: string): void;
  readonly signal: AbortSignal;
}

/** What to measure. */
export interface IndexBenchOptions {
  readonly files: number;
  readonly peers: number;
  /** Requests a second. */
  readonly rate: number;
  /** How long each question is asked. */
  readonly seconds: number;
  /** How long heartbeats are watched. */
  readonly beatSeconds: number;
}

/** One question, as it was answered. */
export interface QuestionFigures extends OpenLoopFigures {
  readonly title: string;
  readonly files: number;
  /** CPU time a second of the process that answered. */
  readonly cores: number;
}

/** All that was found. */
export interface IndexFigures {
  readonly machine: string;
  /** Processes that wanted to run before we began, on average over a minute. */
  readonly loadBefore: number;
  readonly store: FilledStore;
  readonly openSeconds: number;
  readonly raw: QuestionFigures;
  /** Undefined when the catalogue is not larger. */
  readonly small: QuestionFigures | undefined;
  readonly questions: readonly QuestionFigures[];
  readonly swarm: SwarmStart & { readonly cpuSeconds: number };
  readonly beats: SwarmFigures & { readonly seconds: number; readonly cores: number };
  /** Seconds until a peer that restarted had joined and announced its files. */
  readonly restarted: { readonly files: number; readonly seconds: number };
  readonly peakBytes: number;
}

/** Measures, and returns a report in Markdown. Rejects when anything fails: then there are no figures. */
export async function runIndexBench(bench: IndexBenchEnvironment, options: IndexBenchOptions): Promise<string> {
  setHeapGrowth(HEAP_GROWTH_PERCENT);
  const loadBefore = loadavg()[0] ?? 0;
  const machine = await describeMachine(bench.folder);
  const small = options.files > SMALL_FILES ? await measureSmall(bench, options) : undefined;
  const large = await measureLarge(bench, options);
  return formatReport({ machine, loadBefore, small, ...large }, options);
}

async function measureSmall(bench: IndexBenchEnvironment, options: IndexBenchOptions): Promise<QuestionFigures> {
  const store = await fill(bench, SMALL_FILES);
  return await withIndex(bench, store, async ({ index }) => {
    const swarm = { baseUrl: index.url, peers: Math.min(options.peers, SMALL_PEERS), files: SMALL_FILES };
    return await withSwarm(swarm, async () => {
      const asker = await joinPeer(index, 'asker.bench', []);
      return await ask({ bench, server: index }, { ...options, files: SMALL_FILES, question: locateById(asker) });
    });
  });
}

async function measureLarge(bench: IndexBenchEnvironment, options: IndexBenchOptions) {
  const { files, peers } = options;
  const store = await fill(bench, files);
  return await withIndex(bench, store, async ({ index, openSeconds }) => {
    bench.say(`${peers} peers join and announce`);
    const cpuBefore = usageOf(index.pid).cpuSeconds;
    return await withSwarm({ baseUrl: index.url, peers, files }, async (swarm, start) => {
      const cpuSeconds = usageOf(index.pid).cpuSeconds - cpuBefore;
      const beats = await watchBeats({ bench, index, swarm }, options.beatSeconds);
      const questions = await askAll({ bench, index }, options);
      const first = questions[0];
      const raw = await measureRaw(bench, { ...options, answerBytes: Math.round(first?.answerBytes ?? 0) });
      const restarted = await restartPeer({ bench, index, store }, files);
      // All of them are still there.
      await swarm.figures();
      const { peakBytes } = usageOf(index.pid);
      return { store, openSeconds, swarm: { ...start, cpuSeconds }, beats, questions, raw, restarted, peakBytes };
    });
  });
}

async function fill(bench: IndexBenchEnvironment, files: number): Promise<FilledStore> {
  const folder = join(bench.folder, `files-${files}`);
  let toldMs = performance.now();
  const progress = (done: number) => {
    if (performance.now() - toldMs < 10_000) return;
    toldMs = performance.now();
    bench.say(`${done} of ${files} files`);
  };
  bench.say(`a store of ${files} files`);
  return await filledStore({ folder: join(folder, 'index'), files, signal: bench.signal, progress });
}

async function withIndex<T>(
  bench: IndexBenchEnvironment,
  store: FilledStore,
  work: (running: { readonly index: BenchIndex; readonly openSeconds: number }) => Promise<T>,
): Promise<T> {
  const beganMs = performance.now();
  const index = await bench.startIndex(join(store.folder, '..'));
  const openSeconds = (performance.now() - beganMs) / 1000;
  let result: T;
  try {
    result = await work({ index, openSeconds });
  } catch (error) {
    // What stopped the work is what the person should read; how the program ended stands in its log.
    await index.stop().catch(() => undefined);
    throw error;
  }
  await index.stop();
  return result;
}

async function withSwarm<T>(
  options: { readonly baseUrl: string; readonly peers: number; readonly files: number },
  work: (swarm: SwarmChild, start: SwarmStart) => Promise<T>,
): Promise<T> {
  const { swarm, start } = await SwarmChild.start(options);
  try {
    return await work(swarm, start);
  } finally {
    await swarm.stop();
  }
}

async function watchBeats(
  { bench, index, swarm }: { bench: IndexBenchEnvironment; index: BenchIndex; swarm: SwarmChild },
  seconds: number,
): Promise<IndexFigures['beats']> {
  bench.say(`heartbeats for ${seconds} s`);
  await swarm.figures();
  const { cores, elapsedSeconds } = await cpuOf(index.pid, () =>
    wait(seconds * 1000, undefined, { signal: bench.signal }),
  );
  return { ...(await swarm.figures()), seconds: elapsedSeconds, cores };
}

async function askAll(
  { bench, index }: { bench: IndexBenchEnvironment; index: BenchIndex },
  options: IndexBenchOptions,
): Promise<readonly QuestionFigures[]> {
  const client = new IndexClient({}, { baseUrl: index.url, timeoutMs: TIMEOUT_MS });
  // A kept store knows the user of the last time.
  const username = `reader-${Date.now()}`;
  const { token: session } = await client.register(undefined, { username, password: `password of ${username}` });
  const askers = { ...(await joinPeer(index, 'asker.bench', [])), session };
  const figures: QuestionFigures[] = [];
  for (const question of [locateById(askers), ...otherQuestions(askers)]) {
    figures.push(await ask({ bench, server: index }, { ...options, question }));
  }
  return figures;
}

async function ask(
  { bench, server }: { readonly bench: IndexBenchEnvironment; readonly server: Pick<BenchIndex, 'pid' | 'url'> },
  { question, files, rate, seconds }: IndexBenchOptions & { readonly question: Question },
): Promise<QuestionFigures> {
  bench.say(`${question.title}, ${rate} a second`);
  const client = new LoadClient({ baseUrl: server.url, connections: CONNECTIONS });
  try {
    const send = async () => (await client.send(question.ask(publicFile(files, Math.random())))).length;
    const run = (length: number) => runOpenLoop(send, { rate, seconds: length, signal: bench.signal });
    await run(WARM_SECONDS);
    let figures: OpenLoopFigures | undefined;
    const { cores } = await cpuOf(server.pid, async () => {
      figures = await run(seconds);
    });
    if (figures === undefined) throw new Error('nothing was asked');
    return { ...figures, title: question.title, files, cores };
  } finally {
    client.close();
  }
}

async function measureRaw(
  bench: IndexBenchEnvironment,
  options: IndexBenchOptions & { readonly answerBytes: number },
): Promise<QuestionFigures> {
  const child = fork(fileURLToPath(new URL('raw-server.js', import.meta.url)), [String(options.answerBytes)]);
  try {
    const [port] = (await once(child, 'message')) as [number];
    const server = { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0 };
    const title = 'a bare `node:http` server, an answer of the size of the first';
    const question = { title, ask: locateById({ peerToken: 'none' }).ask };
    return await ask({ bench, server }, { ...options, question });
  } finally {
    child.kill('SIGKILL');
  }
}

/** The second time: the index knows what the peer holds, and has it all told again. */
async function restartPeer(
  { bench, index, store }: { bench: IndexBenchEnvironment; index: BenchIndex; store: FilledStore },
  files: number,
): Promise<IndexFigures['restarted']> {
  const count = Math.min(files, RESTARTED_FILES);
  bench.say(`a peer with ${count} files restarts`);
  const ids = Array.from({ length: count }, (_, number) => idOf(number));
  const revisions = ids.map((_, number) => recordsRevision([store.signer.record(number).record]));
  let seconds = 0;
  for (let start = 0; start < 2; start += 1) {
    const beganMs = performance.now();
    const peer = new BenchPeer(index.url, 'restarted.bench', ids);
    await peer.join();
    await peer.announce((at) => revisions[at] ?? '');
    seconds = (performance.now() - beganMs) / 1000;
    peer.close();
  }
  return { files: count, seconds };
}

async function joinPeer(index: BenchIndex, name: string, ids: readonly string[]): Promise<{ peerToken: string }> {
  const peer = new BenchPeer(index.url, name, ids);
  const { peerToken } = await peer.join();
  peer.close();
  return { peerToken };
}

async function cpuOf(
  pid: number,
  work: () => Promise<unknown>,
): Promise<{ readonly cores: number; readonly elapsedSeconds: number }> {
  const cpuBefore = usageOf(pid).cpuSeconds;
  const beganMs = performance.now();
  await work();
  const elapsedSeconds = (performance.now() - beganMs) / 1000;
  return { cores: (usageOf(pid).cpuSeconds - cpuBefore) / elapsedSeconds, elapsedSeconds };
}
