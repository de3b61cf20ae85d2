import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchEnvironment, BenchSwarm } from './environment.js';
import type { MeasuredCommand } from './measured-command.js';
import type { Nginx } from './nginx.js';
import { usageOf } from './process-usage.js';
import { copyDurably, type Download, download, hashOnly } from './reference-copies.js';
import { fetchFile, type Get, type Put, publish, removeEverywhere } from './shoal-transfer.js';
import { makeRandomFile } from './work-file.js';

/*
 * One round, with a file that nobody has seen before:
 *
 *   make it -> `put` beside dd with fdatasync and SHA-256 alone -> `get` beside nginx and curl, and beside peers with TLS -> remove it
 *   -> `put` from a pipe -> remove it
 *
 * Which of them comes first changes from round to round: the speed of a machine drifts.
 */

/** Memory of the programs, at most, since they were started. */
interface Peaks {
  readonly index: number;
  readonly sender: number;
  readonly receiver: number;
}

/** What one round found. `tlsGet`, `pipePut`, `dd`, `sha256` and `download` are undefined where they were left out. */
export interface Round {
  readonly put: Put;
  /** The same bytes from a pipe, when they are nowhere any more, and the memory of the peer, at most, by then. */
  readonly pipePut: (Put & { readonly peakBytes: number }) | undefined;
  readonly get: Get;
  /** The same `get` where the peers speak mutual TLS. */
  readonly tlsGet: Get | undefined;
  readonly dd: MeasuredCommand | undefined;
  readonly sha256: MeasuredCommand | undefined;
  readonly download: Download | undefined;
  readonly peakBytes: Peaks;
}

/** What a round needs. Without `beside` there is nothing but our own put and get. */
export interface RoundDeps {
  readonly bench: BenchEnvironment;
  readonly swarm: BenchSwarm;
  readonly beside?: {
    readonly nginx: Nginx | undefined;
    /** Whether there is a program for SHA-256 alone. */
    readonly hasOpenssl: boolean;
    readonly tlsSwarm: BenchSwarm;
  };
}

/** Folder in which the file of a round lies. */
export function servedFolder(bench: Pick<BenchEnvironment, 'folder'>): string {
  return join(bench.folder, 'served');
}

/** Runs one round and leaves nothing behind. */
export async function runRound(
  { bench, swarm, beside }: RoundDeps,
  { number, bytes }: { readonly number: number; readonly bytes: number },
): Promise<Round> {
  const { sender, receiver } = sidesOf(swarm);
  const source = join(servedFolder(bench), `file-${number}.bin`);
  try {
    await makeRandomFile(source, bytes, bench.signal);
    const [put, dd, sha256] = await inTurn(
      number,
      () => publish(bench, sender, source),
      beside === undefined ? skip : () => copyDurably(bench, source),
      beside?.hasOpenssl !== true ? skip : () => hashOnly(bench, source),
    );
    const { nginx, tlsSwarm } = beside ?? {};
    const [get, curl, tlsGet] = await inTurn(
      number,
      () => fetchFile(bench, { sender, receiver }, source),
      nginx === undefined ? skip : () => download(bench, nginx, source),
      tlsSwarm === undefined ? skip : () => publishAndFetch(bench, tlsSwarm, source),
    );
    const peak = ({ pid }: { readonly pid: number }) => usageOf(pid).peakBytes;
    await removeEverywhere(bench, [sender, receiver], source);
    const peakBytes = { index: peak(swarm.index), sender: peak(sender), receiver: peak(receiver) };
    let pipePut: Round['pipePut'];
    if (beside !== undefined) {
      pipePut = { ...(await publish(bench, sender, source, 'pipe')), peakBytes: peak(sender) };
      await removeEverywhere(bench, [sender, receiver], source);
    }
    return { put, pipePut, get, tlsGet, dd, sha256, download: curl, peakBytes };
  } finally {
    await rm(source, { force: true });
  }
}

function sidesOf({ peers: [sender, receiver] }: BenchSwarm) {
  if (sender === undefined || receiver === undefined) throw new RangeError('a transfer needs two peers');
  return { sender, receiver };
}

/** A get in a swarm that has nothing to do with the file otherwise. */
async function publishAndFetch(bench: BenchEnvironment, swarm: BenchSwarm, source: string): Promise<Get> {
  const { sender, receiver } = sidesOf(swarm);
  await publish(bench, sender, source);
  const get = await fetchFile(bench, { sender, receiver }, source);
  await removeEverywhere(bench, [sender, receiver], source);
  return get;
}

function skip(): Promise<undefined> {
  return Promise.resolve(undefined);
}

/** Does one after the other, in each round another one first. */
async function inTurn<T extends readonly unknown[]>(
  round: number,
  ...works: { readonly [I in keyof T]: () => Promise<T[I]> }
): Promise<T> {
  const results: unknown[] = [];
  for (let turn = 0; turn < works.length; turn += 1) {
    const at = (round - 1 + turn) % works.length;
    results[at] = await works[at]?.();
  }
  return results as unknown as T;
}
