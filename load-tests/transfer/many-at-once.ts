import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type BenchEnvironment, type BenchPeer, withSwarm } from './environment.js';
import { HttpConnection } from './http-connection.js';
import { loopLagSeconds } from './peer-metric.js';
import { usageOf } from './process-usage.js';
import { publish } from './shoal-transfer.js';
import { makeRandomFile, settle } from './work-file.js';

/** Many files on their way from one peer to another at the same time. */
export interface ManyFigures {
  readonly count: number;
  /** Size of each. */
  readonly bytes: number;
  readonly seconds: number;
  /** Memory of the two peers, at most, since they were started. */
  readonly peakBytes: { readonly sender: number; readonly receiver: number };
  /** p99 of the delay of their event loops meanwhile. */
  readonly lagSeconds: { readonly sender: number; readonly receiver: number };
}

/**
 * Has one peer fetch so many files from another, all at once, by asking its HTTP door for all of them. The bytes of the
 * answers are thrown away. Rejects when one of them is not whole.
 */
export async function measureMany(
  bench: BenchEnvironment,
  { count, bytes }: { readonly count: number; readonly bytes: number },
): Promise<ManyFigures> {
  return await withSwarm(bench, 2, async (swarm) => {
    const [sender, receiver] = swarm.peers as [BenchPeer, BenchPeer];
    const names: string[] = [];
    for (let i = 0; i < count; i += 1) names.push(await publishOne(bench, sender, { number: i, bytes }));
    await settle(bench, count * bytes);
    await Promise.all([loopLagSeconds(sender, bench.signal), loopLagSeconds(receiver, bench.signal)]);
    const beganMs = performance.now();
    const received = await Promise.all(names.map((name) => drain(receiver, `/files/${name}`)));
    const seconds = (performance.now() - beganMs) / 1000;
    const short = received.findIndex((length) => length !== bytes);
    if (short >= 0) throw new Error(`${names[short]} came with ${received[short]} bytes instead of ${bytes}`);
    const peak = ({ pid }: BenchPeer) => usageOf(pid).peakBytes;
    return {
      count,
      bytes,
      seconds,
      peakBytes: { sender: peak(sender), receiver: peak(receiver) },
      lagSeconds: {
        sender: await loopLagSeconds(sender, bench.signal),
        receiver: await loopLagSeconds(receiver, bench.signal),
      },
    };
  });
}

async function publishOne(
  bench: BenchEnvironment,
  peer: BenchPeer,
  { number, bytes }: { readonly number: number; readonly bytes: number },
): Promise<string> {
  const source = join(bench.folder, `many-${number}.bin`);
  try {
    await makeRandomFile(source, bytes, bench.signal);
    await publish(bench, peer, source);
    return basename(source);
  } finally {
    await rm(source, { force: true });
  }
}

/**
 * Reads an answer to its end and tells its length. Not by `fetch`, which takes far more CPU time, from the cores that both
 * peers share with it.
 */
async function drain({ url }: BenchPeer, path: string): Promise<number> {
  const connection = await HttpConnection.open(url);
  try {
    const { status, bytes } = await connection.ask({ path });
    if (status !== 200) throw new Error(`${url}${path} answered ${status}`);
    return bytes;
  } finally {
    connection.close();
  }
}
