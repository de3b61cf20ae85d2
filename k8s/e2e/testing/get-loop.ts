import { eventually } from './cluster.js';
import type { Release } from './release.js';
import { attempt } from './shell.js';

/** Files to get, each held by two of three peers, so that every get by the third moves bytes. */
export interface Stock {
  readonly prefix: string;
  readonly digests: ReadonlyMap<string, string>;
}

/** Publishes `count` files of random bytes from a peer's pod, with two copies of each. */
export async function putStock(
  release: Release,
  peer: number,
  { prefix, count, mib }: { prefix: string; count: number; mib: number },
): Promise<Stock> {
  const script = `mkdir /tmp/${prefix}; cd /tmp/${prefix}
    for i in $(seq ${count}); do head -c ${mib}M /dev/urandom > ${prefix}-$i; done
    shoal put * --replicas 2 --quiet >/dev/null
    sha256sum *
    rm -r /tmp/${prefix}`;
  const lines = (await release.script(release.peerPod(peer), script)).trimEnd().split('\n');
  const digests = new Map(lines.map((line) => line.split(/\s+/).reverse() as [string, string]));
  if (digests.size !== count) throw new Error(`published ${digests.size} of ${count} files:\n${lines.join('\n')}`);
  return { prefix, digests };
}

/**
 * Gets one file after the other, each in the pod of a peer that is there, until it is told to stop, and notes every get
 * that failed. Every file that was not in the peer's store is moved; where all have all, the store serves.
 */
export class GetLoop {
  readonly failures: string[] = [];
  done = 0;
  readonly #release: Release;
  readonly #stock: Stock;
  readonly #peers: number;
  #isStopping = false;
  readonly #ended: Promise<void>;

  constructor(release: Release, stock: Stock, { peers }: { peers: number }) {
    this.#release = release;
    this.#stock = stock;
    this.#peers = peers;
    this.#ended = this.#run();
  }

  /** Resolves when `count` more gets have ended, well or not. */
  async moreGets(count: number): Promise<void> {
    const wanted = this.done + count;
    await eventually(`${count} more gets have ended`, 120_000, async () => this.done >= wanted);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    const names = [...this.#stock.digests.keys()];
    for (let i = 0; !this.#isStopping; i++) {
      // A stride that shares no factor with the number of files: each peer meets each of them.
      await this.#get(names[Math.floor(i / this.#peers) % names.length] ?? '', i % this.#peers);
      this.done += 1;
    }
  }

  async #get(name: string, peer: number): Promise<void> {
    const pod = this.#release.peerPod(peer);
    const uid = await this.#standing(pod);
    if (uid === undefined) return;
    const script = `shoal get ${name} --to /tmp/${name} --quiet >/dev/null; sha256sum < /tmp/${name}; rm /tmp/${name}`;
    const args = ['--namespace', this.#release.namespace, 'exec', pod, '--', 'sh', '-euc', script];
    const { code, stdout, stderr } = await attempt('kubectl', args);
    const isRight = code === 0 && stdout.startsWith(this.#stock.digests.get(name) ?? '?');
    // A command in a container that was taken away under it says nothing about Shoal.
    if (isRight || (await this.#standing(pod)) !== uid) return;
    this.failures.push(`get ${name} in ${pod}: exit code ${code} ${stdout}${stderr}`);
  }

  /** Identity of the pod while nobody has told it to go and it is ready. */
  async #standing(pod: string): Promise<string | undefined> {
    const found = (await this.#release.pods('peer')).find(({ metadata }) => metadata?.name === pod);
    const isReady = found?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
    return isReady && found?.metadata?.deletionTimestamp === undefined ? found?.metadata?.uid : undefined;
  }
}
