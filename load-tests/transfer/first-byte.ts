import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BenchEnvironment, BenchPeer } from './environment.js';
import { HttpConnection } from './http-connection.js';
import type { Nginx } from './nginx.js';
import { peerMetric } from './peer-metric.js';
import { servedFolder } from './round.js';
import { publish, removeEverywhere } from './shoal-transfer.js';
import { makeRandomFile } from './work-file.js';

/*
 * How soon a large file begins to come over HTTP from a peer that has nothing of it, while another has all. A client that
 * has its first byte goes away.
 */

const FETCHED = 'shoal_peer_time_to_first_byte_seconds';

/** Times of one file, in seconds, from when a request was sent on a connection that was open. */
export interface FirstByte {
  /** The first byte of the body, from the peer that had nothing. */
  readonly readThrough: number;
  /** Within that, from the start of the fetch until the first chunk was verified and stored. */
  readonly fetched: number;
  /** The answer to a HEAD just before: what asking the index and answering take without any byte of the file. */
  readonly head: number;
  /** The first byte of the body, from the peer that has all of it. */
  readonly here: number;
  /** The first byte from nginx, where it is installed. */
  readonly nginx: number | undefined;
}

/** What a measurement works with. `receiver` holds nothing. */
export interface FirstByteDeps {
  readonly bench: BenchEnvironment;
  readonly sender: BenchPeer;
  readonly receiver: BenchPeer;
  readonly nginx: Nginx | undefined;
}

/**
 * Measures with so many files that nobody has seen before, and leaves nothing behind. One more comes first and does not
 * count: the two peers then know each other, as they do in a swarm that runs.
 */
export async function measureFirstBytes(
  deps: FirstByteDeps,
  { files, bytes }: { readonly files: number; readonly bytes: number },
): Promise<readonly FirstByte[]> {
  const found: FirstByte[] = [];
  await measureOne(deps, { number: 0, bytes });
  for (let number = 1; number <= files; number += 1) found.push(await measureOne(deps, { number, bytes }));
  return found;
}

async function measureOne(
  { bench, sender, receiver, nginx }: FirstByteDeps,
  { number, bytes }: { readonly number: number; readonly bytes: number },
): Promise<FirstByte> {
  const source = join(servedFolder(bench), `first-byte-${number}.bin`);
  const path = `/files/${basename(source)}`;
  try {
    await makeRandomFile(source, bytes, bench.signal);
    await publish(bench, sender, source);
    const fetches = () => peerMetric(receiver, `${FETCHED}_sum`, bench.signal);
    const head = await secondsOf(receiver.url, (connection) => connection.ask({ method: 'HEAD', path }));
    const before = await fetches();
    const readThrough = await secondsOf(receiver.url, (connection) => untilFirstByte(connection, path));
    const fetched = (await fetches()) - before;
    const here = await secondsOf(sender.url, (connection) => untilFirstByte(connection, path));
    const theirs =
      nginx && (await secondsOf(nginx.url, (connection) => untilFirstByte(connection, `/${basename(source)}`)));
    await removeEverywhere(bench, [sender, receiver], source);
    return { readThrough, fetched, head, here, nginx: theirs };
  } finally {
    await rm(source, { force: true });
  }
}

/** How long `work` takes on a connection that is open. */
async function secondsOf(url: string, work: (connection: HttpConnection) => Promise<unknown>): Promise<number> {
  const connection = await HttpConnection.open(url);
  try {
    const beganMs = performance.now();
    await work(connection);
    return (performance.now() - beganMs) / 1000;
  } finally {
    connection.close();
  }
}

function untilFirstByte(connection: HttpConnection, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.ask({ path }, resolve).then(({ status }) => {
      // An empty or failed answer; otherwise this is settled already.
      reject(new Error(`${path} was answered with ${status} and no byte`));
    }, reject);
  });
}
