import { join } from 'node:path';
import { core, eventually, isReady } from './cluster.js';
import type { Release } from './release.js';

const MANIFEST = join(import.meta.dirname, '../prometheus.yaml');

/** A series as Prometheus answers it. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A rule as Prometheus reports on it. */
export interface RuleHealth {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

/** A Prometheus in the namespace of a release, which reads that release. */
export class Prometheus {
  readonly #url: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.#url = url;
    this.#stop = stop;
  }

  /** @param rules groups of alerts, as in a file of rules */
  static async start(release: Release, rules: object): Promise<Prometheus> {
    const { namespace } = release;
    // JSON is YAML.
    const body = { metadata: { name: 'prometheus-rules' }, data: { 'rules.yaml': JSON.stringify(rules) } };
    await core.createNamespacedConfigMap({ namespace, body });
    await release.kubectl(['apply', '--filename', MANIFEST]);
    await eventually('Prometheus is ready', 120_000, async () =>
      isReady(await core.readNamespacedPod({ namespace, name: 'prometheus' })),
    );
    const { url, stop } = await release.portForward('pod/prometheus', 9090);
    return new Prometheus(url, async () => {
      await stop();
      await release.kubectl(['delete', '--filename', MANIFEST, '--wait']);
      await core.deleteNamespacedConfigMap({ namespace, name: 'prometheus-rules' });
    });
  }

  /** The series that a query gives now. Rejects when it is no query. */
  async query(query: string): Promise<readonly Series[]> {
    const { result } = await this.#get<{ result: Series[] }>(`query?query=${encodeURIComponent(query)}`);
    return result;
  }

  async rules(): Promise<readonly RuleHealth[]> {
    const { groups } = await this.#get<{ groups: { rules: RuleHealth[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    if (answer.status !== 'success') throw new Error(`Prometheus on ${path}: ${answer.error}`);
    return answer.data;
  }
}
