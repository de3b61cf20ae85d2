import { setTimeout as pause } from 'node:timers/promises';
import { core, eventually, isReady } from './cluster.js';
import type { Stock } from './get-loop.js';
import { session } from './peer-watch.js';
import type { Release } from './release.js';
import { attempt } from './shell.js';

const NAME = 'client';

/** A pod that is no part of Shoal, in its namespace: it has busybox and a user's token. */
export class ClientPod {
  readonly #release: Release;
  readonly #token: string;

  private constructor(release: Release, token: string) {
    this.#release = release;
    this.#token = token;
  }

  static async start(release: Release): Promise<ClientPod> {
    const { namespace } = release;
    await core.createNamespacedPod({ namespace, body: strangerPod(NAME, { [`${release.name}-client`]: 'true' }) });
    await eventually('the client pod is ready', 60_000, async () =>
      isReady(await core.readNamespacedPod({ namespace, name: NAME })),
    );
    const { url, stop } = await release.portForward(`service/${release.name}-index`, 5000);
    const token = await session(url);
    await stop();
    return new ClientPod(release, token);
  }

  /** Downloads one file after the other through the Service of the peers' HTTP door. */
  downloadInLoop(stock: Stock): DownloadLoop {
    return new DownloadLoop(stock, (name) => this.#download(name));
  }

  async remove(): Promise<void> {
    await core.deleteNamespacedPod({ namespace: this.#release.namespace, name: NAME, gracePeriodSeconds: 0 });
  }

  /** SHA-256 of the file as it arrives, or what went wrong. */
  async #download(name: string): Promise<string> {
    const url = `http://${this.#release.name}-peer-http:5001/files/${name}`;
    const script = `wget -q -T 60 --header 'Authorization: Bearer ${this.#token}' -O /tmp/${name} ${url}
      sha256sum < /tmp/${name}; rm /tmp/${name}`;
    const args = ['--namespace', this.#release.namespace, 'exec', NAME, '--', 'sh', '-euc', script];
    const { code, stdout, stderr } = await attempt('kubectl', args);
    return code === 0 ? (stdout.split(' ')[0] ?? '') : `exit code ${code}: ${stderr}`;
  }
}

/** Downloads until it is told to stop, and notes every one that failed. */
class DownloadLoop {
  readonly failures: string[] = [];
  done = 0;
  #isStopping = false;
  readonly #ended: Promise<void>;

  constructor(stock: Stock, download: (name: string) => Promise<string>) {
    this.#ended = this.#run(stock, download);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#ended;
  }

  async #run(stock: Stock, download: (name: string) => Promise<string>): Promise<void> {
    const files = [...stock.digests];
    for (let i = 0; !this.#isStopping; i++) {
      const [name, digest] = files[i % files.length] ?? ['', ''];
      const result = await download(name);
      this.done += 1;
      if (result !== digest) this.failures.push(`${name}: ${result} instead of ${digest}`);
      // The machine has other work, and the restart should not be starved by its own test.
      await pause(100);
    }
  }
}

/** A pod with busybox that sleeps, as the strictest namespaces admit it. */
export function strangerPod(name: string, labels: Record<string, string> = {}) {
  return {
    metadata: { name, labels },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'busybox',
          image: 'busybox:1.36',
          command: ['sleep', '86400'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}
