import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../common/version.js';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { CrowdSystem } from './crowd.js';
import { LabProcess } from './lab-process.js';
import { type TorrentClient, TorrentSession, type TorrentTask } from './torrent-crowd.js';
import { TORRENT_PORT } from './tracker.js';

const SCRIPT = join(PACKAGE_ROOT, 'load-tests/swarm/libtorrent-peer.py');

/** The BitTorrent library that most clients are made with, driven by a script in Python. */
export function libtorrentSystem(bench: SwarmBenchEnvironment, python: string): CrowdSystem {
  const start = (task: TorrentTask) => startLibtorrent(python, task);
  const kind = { name: 'libtorrent', title: 'libtorrent, tuned', pieceBytes: 128 * 1024, start } as const;
  return {
    name: 'libtorrent',
    title: kind.title,
    open: (lab, folder) => Promise.resolve(new TorrentSession({ bench, lab, folder }, kind)),
  };
}

function startLibtorrent(python: string, task: TorrentTask): TorrentClient {
  const { bench, node, others, torrentFile, folder, logFile } = task;
  const awaited = new Map<string, (rest: string) => void>();
  const line = (word: string) => new Promise<string>((resolve) => awaited.set(word, resolve));
  const [ready, complete] = [line('ready'), line('complete')];
  const process = new LabProcess(
    [python, SCRIPT, torrentFile, folder, node.address, String(TORRENT_PORT), ...others.map(({ address }) => address)],
    {
      node,
      environment: bench.environment,
      logFile,
      onLine: (text) => {
        const [word = '', rest = ''] = text.split(' ');
        awaited.get(word)?.(rest);
      },
    },
  );
  return {
    process,
    ready: Promise.race([ready.then(() => undefined), failure(process)]),
    go: () => process.say('go'),
    complete: Promise.race([complete.then(() => undefined), failure(process)]),
    duplicateBytes: async () => {
      const answer = line('redundant');
      process.say('redundant');
      return Number(await Promise.race([answer, failure(process)]));
    },
  };
}

async function failure(process: LabProcess): Promise<never> {
  await process.succeeds();
  throw new Error('libtorrent ended by itself');
}
