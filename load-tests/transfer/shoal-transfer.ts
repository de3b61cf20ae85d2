import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type BenchEnvironment, type BenchPeer, runShoal } from './environment.js';
import type { MeasuredCommand } from './measured-command.js';
import { loopLagSeconds, peerMetric } from './peer-metric.js';
import { type ProcessUsage, usageOf } from './process-usage.js';
import { settle, withCopy } from './work-file.js';

/** Removals travel with heartbeats, which come every few seconds. */
const REMOVAL_MS = 60_000;
const LOOK_MS = 100;

/** A `shoal put`. */
export interface Put {
  readonly command: MeasuredCommand;
  readonly daemonCpuSeconds: number;
}

/** Some time of the two sides of a transfer, in seconds. */
export interface TwoSides {
  readonly sender: number;
  readonly receiver: number;
}

/** A `shoal get`. */
export interface Get {
  /** Until the receiving peer had verified and stored all of it. CPU time is that of the two daemons. */
  readonly stored: { readonly seconds: number; readonly cpuSeconds: TwoSides };
  /** p99 of the delay of the daemons' event loops until the command was over, in seconds. */
  readonly lagSeconds: TwoSides;
  /** Until the command was over and FILE there. */
  readonly delivered: { readonly seconds: number; readonly cpuSeconds: TwoSides };
  readonly command: MeasuredCommand;
}

/** Publishes a file through a peer, under its base name; the peer can open it, or gets it from `cat` through the command. */
export async function publish(
  bench: BenchEnvironment,
  peer: BenchPeer,
  source: string,
  from: 'file' | 'pipe' = 'file',
): Promise<Put> {
  await settle(bench, (await stat(source)).size);
  const before = usageOf(peer.pid);
  const command =
    from === 'file'
      ? await runShoal(bench, peer, ['put', source, '--quiet'])
      : await runShoal(bench, peer, ['put', '-', '--as', basename(source), '--quiet'], { input: source });
  return { command, daemonCpuSeconds: cpuSince(before, peer) };
}

/** Has `receiver` get what `sender` published of `source`, into a file that is compared with it and removed. */
export async function fetchFile(
  bench: BenchEnvironment,
  { sender, receiver }: { readonly sender: BenchPeer; readonly receiver: BenchPeer },
  source: string,
): Promise<Get> {
  return await withCopy(bench, source, async (target) => {
    const before = { sender: usageOf(sender.pid), receiver: usageOf(receiver.pid) };
    const sides = () => ({
      sender: cpuSince(before.sender, sender),
      receiver: cpuSince(before.receiver, receiver),
    });
    const lags = async () => ({
      sender: await loopLagSeconds(sender, bench.signal),
      receiver: await loopLagSeconds(receiver, bench.signal),
    });
    // Each reading begins anew.
    await lags();
    const beganMs = performance.now();
    let stored: Get['stored'] | undefined;
    const args = ['get', basename(source), '--to', target, '--quiet', '--progress', 'json'];
    const onErrorLine = (line: string) => {
      if (isWriting(line)) stored ??= { seconds: (performance.now() - beganMs) / 1000, cpuSeconds: sides() };
    };
    const command = await runShoal(bench, receiver, args, { onErrorLine });
    if (stored === undefined) throw new Error('`shoal get` did not say when it had all of the file');
    const delivered = { seconds: command.seconds, cpuSeconds: sides() };
    return { stored, delivered, command, lagSeconds: await lags() };
  });
}

/**
 * Removes a file from the catalogue, and waits until no peer keeps anything: the next file then finds memory and disk as
 * this one did. Rejects when a peer takes too long.
 */
export async function removeEverywhere(
  bench: BenchEnvironment,
  peers: readonly [BenchPeer, ...BenchPeer[]],
  source: string,
): Promise<void> {
  await runShoal(bench, peers[0], ['rm', basename(source), '--quiet']);
  const deadline = performance.now() + REMOVAL_MS;
  for (const peer of peers) {
    while ((await peerMetric(peer, 'shoal_peer_store_used_bytes', bench.signal)) > 0) {
      if (performance.now() > deadline) throw new Error(`${peer.name} still keeps a file that was removed`);
      await wait(LOOK_MS);
    }
  }
}

/** The peer begins to write to FILE when it has verified and stored all of it. */
function isWriting(line: string): boolean {
  return line.startsWith('{') && line.includes('"phase":"writing"');
}

function cpuSince(before: ProcessUsage, { pid }: { readonly pid: number }): number {
  return usageOf(pid).cpuSeconds - before.cpuSeconds;
}
