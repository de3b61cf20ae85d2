import { once } from 'node:events';
import type { V1Pod } from '@kubernetes/client-node';
import { apps, core, ensureNamespace, eventually, isReady, podsOf } from './cluster.js';
import { attempt, type Result, Running, type RunOptions, run } from './shell.js';

/** Values of the chart, by dotted path. */
export type Values = Readonly<Record<string, string | number | boolean>>;

/** What `shoal peers -o json` tells of a peer. */
export interface PeerRow {
  readonly name: string;
  readonly address: string;
  readonly state: 'live' | 'draining' | 'gone';
  readonly files: number;
}

/** What `shoal stat -o json` tells of a file. */
export interface FileStat {
  readonly id: string;
  readonly size: number;
  readonly sha256: string;
  readonly holders: readonly { readonly peer: string; readonly address: string; readonly complete: boolean }[];
}

const CHART = 'charts/shoal';

/** A story that fails leaves its own behind, and jest would wait for them. */
const forwards: Running[] = [];
afterAll(() => Promise.all(forwards.map((forward) => forward.stop())));

/** One installation of the chart, handled as people do: helm, kubectl, `shoal` in a pod. */
export class Release {
  readonly namespace: string;
  readonly name: string;

  constructor(namespace: string, name = 'shoal') {
    this.namespace = namespace;
    this.name = name;
  }

  /** Installs the chart with its own defaults but for the image, and waits until all of it is ready. */
  async install(values: Values = {}, chart = CHART): Promise<void> {
    await ensureNamespace(this.namespace);
    await this.helm('install', this.name, chart, '--wait', '--timeout=5m', ...flags(values));
  }

  /** Upgrades with exactly these values and waits until all is ready. */
  async upgrade(values: Values = {}, chart = CHART): Promise<void> {
    await this.helm('upgrade', this.name, chart, '--wait', '--timeout=5m', ...flags(values));
  }

  helm(...args: string[]): Promise<string> {
    return run('helm', ['--namespace', this.namespace, ...args]);
  }

  /** `helm` as somebody who got something wrong runs it. */
  tryHelm(...args: string[]): Promise<Result> {
    return attempt('helm', ['--namespace', this.namespace, ...args]);
  }

  kubectl(args: readonly string[], options?: RunOptions): Promise<string> {
    return run('kubectl', ['--namespace', this.namespace, ...args], options);
  }

  /** A command in a pod. */
  exec(pod: string, command: readonly string[], options: RunOptions = {}): Promise<string> {
    const stdin = options.input === undefined ? [] : ['--stdin'];
    return this.kubectl(['exec', ...stdin, pod, '--', ...command], options);
  }

  /** A shell script in a pod; it ends at the first command that fails. */
  script(pod: string, script: string, options?: RunOptions): Promise<string> {
    return this.exec(pod, ['sh', '-euc', script], options);
  }

  /** `shoal ARGS` in a peer's pod. */
  async shoal(peer: number, ...args: string[]): Promise<string> {
    return (await this.exec(this.peerPod(peer), ['shoal', ...args])).trimEnd();
  }

  /** `shoal ARGS -o json` in a peer's pod. */
  async json<T>(peer: number, ...args: string[]): Promise<T> {
    return JSON.parse(await this.shoal(peer, ...args, '--output', 'json')) as T;
  }

  /** The peers as one of them sees them. */
  async peers(seenBy: number): Promise<readonly PeerRow[]> {
    return (await this.json<{ peers: PeerRow[] }>(seenBy, 'peers')).peers;
  }

  /** Publishes random bytes from a peer's pod and resolves to their id and SHA-256. */
  async putRandom(peer: number, name: string, { mib, replicas }: { mib: number; replicas: number }) {
    const script = `head -c ${mib}M /dev/urandom > /tmp/${name}
      shoal put /tmp/${name} --replicas ${replicas}
      sha256sum < /tmp/${name}
      rm /tmp/${name}`;
    const [id = '', digest = ''] = (await this.script(this.peerPod(peer), script)).split('\n');
    return { id, sha256: digest.split(' ')[0] ?? '' };
  }

  /** The SHA-256 of a file as `shoal get` brings it into a peer's pod. */
  async digestAfterGet(peer: number, ref: string): Promise<string> {
    const script = `shoal get ${ref} --to /tmp/got --quiet >/dev/null; sha256sum < /tmp/got; rm /tmp/got`;
    return (await this.script(this.peerPod(peer), script)).split(' ')[0] ?? '';
  }

  peerPod(peer: number): string {
    return `${this.name}-peer-${peer}`;
  }

  /** Pods of one part of the release. */
  pods(component: 'index' | 'peer' | 'mongodb'): Promise<V1Pod[]> {
    return podsOf(this.namespace, {
      'app.kubernetes.io/instance': this.name,
      'app.kubernetes.io/component': component,
    });
  }

  /** Ends a pod as a failing node does: at once, without a word. */
  async kill(pod: string): Promise<void> {
    await core.deleteNamespacedPod({
      namespace: this.namespace,
      name: pod,
      gracePeriodSeconds: 0,
      propagationPolicy: 'Background',
    });
  }

  /** Waits until a pod of this name that is not the one with `uid` is ready. */
  podAgain(name: string, uid: string, timeoutMs = 120_000): Promise<V1Pod> {
    return eventually(`${name} is ready again`, timeoutMs, async () => {
      const pod = await core.readNamespacedPod({ namespace: this.namespace, name });
      return pod.metadata?.uid !== uid && isReady(pod) ? pod : undefined;
    });
  }

  async uidOf(pod: string): Promise<string> {
    return (await core.readNamespacedPod({ namespace: this.namespace, name: pod })).metadata?.uid ?? '';
  }

  /** Waits until exactly `count` peers are ready in the cluster and live in the swarm. */
  async waitForPeers(count: number, timeoutMs = 180_000): Promise<void> {
    await eventually(`${count} peer pods are ready`, timeoutMs, async () => {
      const pods = await this.pods('peer');
      return pods.length === count && pods.every(isReady);
    });
    await eventually(`${count} peers are live`, timeoutMs, async () => {
      const live = (await this.peers(0)).filter(({ state }) => state === 'live');
      return live.length === count;
    });
  }

  scalePeers(replicas: number): Promise<void> {
    return this.scale('peer', replicas);
  }

  /** Changes how many pods a StatefulSet of the release has; does not wait. */
  async scale(component: 'peer' | 'mongodb', replicas: number): Promise<void> {
    const name = `${this.name}-${component}`;
    const scale = await apps.readNamespacedStatefulSetScale({ namespace: this.namespace, name });
    await apps.replaceNamespacedStatefulSetScale({
      namespace: this.namespace,
      name,
      body: { ...scale, spec: { replicas } },
    });
  }

  /** `kubectl port-forward` to a port of something; resolves to the URL on this machine once it listens. */
  async portForward(target: string, port: number): Promise<{ url: string; stop: () => Promise<void> }> {
    const listening = new EventTarget();
    let url = '';
    const args = ['--namespace', this.namespace, 'port-forward', target, `:${port}`];
    const forward = new Running('kubectl', args, (line) => {
      const found = /Forwarding from (127\.0\.0\.1:\d+)/.exec(line);
      if (!found) return;
      url = `http://${found[1]}`;
      listening.dispatchEvent(new Event('url'));
    });
    forwards.push(forward);
    await Promise.race([once(listening, 'url'), forward.succeeded()]);
    if (url === '') throw new Error(`kubectl port-forward ${target} ended: ${forward.stderr.join('\n')}`);
    return { url, stop: () => forward.stop() };
  }
}

/** As `helm` takes them. The image is the one that `npm run e2e` built. */
export function flags(values: Values): string[] {
  const [repository = '', tag = ''] = (process.env['SHOAL_E2E_IMAGE'] ?? '').split(':');
  const image = { 'image.registry': '', 'image.repository': repository, 'image.tag': tag };
  return Object.entries({ ...image, ...values }).flatMap(([key, value]) => [
    typeof value === 'string' ? '--set-string' : '--set',
    `${key}=${value}`,
  ]);
}
