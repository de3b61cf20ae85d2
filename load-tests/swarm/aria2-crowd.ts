import { setTimeout as wait } from 'node:timers/promises';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { CrowdSystem } from './crowd.js';
import { LabProcess } from './lab-process.js';
import { type TorrentClient, TorrentSession, type TorrentTask } from './torrent-crowd.js';
import { TORRENT_PORT } from './tracker.js';

const RPC_PORT = 6800;
const START_MS = 10_000;
const LOOK_MS = 20;
/** What `--on-bt-download-complete` prints: the download's number, how many files, the path. */
const COMPLETE = /^[0-9a-f]{16} \d+ /;

/** aria2 as a BitTorrent client. */
export function aria2System(bench: SwarmBenchEnvironment, aria2: string): CrowdSystem {
  const start = (task: TorrentTask) => startAria2(aria2, task);
  const kind = { name: 'aria2', title: 'aria2, tuned', pieceBytes: 64 * 1024, start } as const;
  return {
    name: 'aria2',
    title: kind.title,
    open: (lab, folder) => Promise.resolve(new TorrentSession({ bench, lab, folder }, kind)),
  };
}

function startAria2(aria2: string, task: TorrentTask): TorrentClient {
  let told: () => void = () => undefined;
  const hooked = new Promise<void>((resolve) => {
    told = resolve;
  });
  const { node, bench, logFile } = task;
  const process = new LabProcess([aria2, ...optionsOf(task), task.torrentFile], {
    node,
    environment: bench.environment,
    logFile,
    onLine: (line) => {
      if (COMPLETE.test(line)) told();
    },
  });
  const failed = process.succeeds().then(() => {
    throw new Error('aria2 ended by itself');
  });
  // Whoever waits for one of the others below is told.
  failed.catch(() => undefined);
  const url = `http://${node.controlAddress}:${RPC_PORT}/jsonrpc`;
  return {
    process,
    ready: Promise.race([untilItAnswers(url), failed]),
    go: () => void call(url, 'aria2.unpauseAll').catch(() => undefined),
    complete: Promise.race([hooked, failed]),
    duplicateBytes: () => Promise.resolve(undefined),
  };
}

/** The settings that were fastest on links as these. */
function optionsOf({ folder, trackerUrl }: TorrentTask): string[] {
  return [
    '--no-conf=true',
    '--quiet=true',
    `--dir=${folder}`,
    // It begins when it is told to.
    ...['--pause=true', '--enable-rpc=true', '--rpc-listen-all=true', `--rpc-listen-port=${RPC_PORT}`],
    // Nobody to be found but by the tracker, which knows everybody.
    ...['--enable-dht=false', '--enable-dht6=false', '--bt-enable-lpd=false', '--disable-ipv6=true'],
    ...[`--bt-tracker=${trackerUrl}`, '--bt-tracker-interval=1', `--listen-port=${TORRENT_PORT}`],
    // No limit of peers, and always looking for more.
    ...['--bt-max-peers=0', '--bt-request-peer-speed-limit=1000M'],
    // On to the end of the run.
    ...['--seed-ratio=0.0', '--seed-time=100000', '--check-integrity=true'],
    ...['--file-allocation=none', '--disk-cache=64M', '--summary-interval=0', '--allow-overwrite=true'],
    '--on-bt-download-complete=/bin/echo',
  ];
}

async function untilItAnswers(url: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    try {
      await call(url, 'aria2.getVersion');
      return;
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`aria2 did not answer within ${START_MS / 1000} s`, { cause });
      await wait(LOOK_MS);
    }
  }
}

async function call(url: string, method: string): Promise<void> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: '1', method }) });
  if (!response.ok) throw new Error(`aria2 answered ${method} with ${response.status}`);
  await response.arrayBuffer();
}
