import { type Percentiles, percentilesOf } from '../index/percentiles.js';
import { HttpConnection } from './http-connection.js';

/** What to ask a server for. */
export interface GetLoad {
  /** Base URL. */
  readonly url: string;
  /** Asked for in turn, over and over. */
  readonly paths: readonly string[];
  /** Size of each of them. */
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  /** How long requests are begun. Those that run then are finished. */
  readonly seconds: number;
}

/** How the server answered; times are those of single requests, in milliseconds. */
export interface GetLoadFigures extends Percentiles {
  readonly perSecond: number;
}

/**
 * Asks over so many connections, on each for the next file as soon as the one before is there (a closed loop), as pods do
 * that read a set of files. Rejects when one answer is not the whole of a file.
 */
export async function runGetLoad(load: GetLoad): Promise<GetLoadFigures> {
  const connections = await Promise.all(Array.from({ length: load.connections }, () => HttpConnection.open(load.url)));
  const times: number[] = [];
  const beganMs = performance.now();
  const endMs = beganMs + load.seconds * 1000;
  let next = 0;
  const work = async (connection: HttpConnection) => {
    for (let sentMs = performance.now(); sentMs < endMs; sentMs = performance.now()) {
      const path = load.paths[next++ % load.paths.length] as string;
      const { status, bytes } = await connection.ask({ path, headers: load.headers });
      if (status !== 200 || bytes !== load.bytes) throw new Error(`${path}: status ${status}, ${bytes} bytes`);
      times.push(performance.now() - sentMs);
    }
  };
  try {
    await Promise.all(connections.map(work));
  } finally {
    for (const connection of connections) connection.close();
  }
  return { ...percentilesOf(times), perSecond: (times.length * 1000) / (performance.now() - beganMs) };
}
