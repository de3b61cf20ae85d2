import { setTimeout as pause } from 'node:timers/promises';
import { ApiException, AppsV1Api, CoreV1Api, KubeConfig, type V1Pod } from '@kubernetes/client-node';
import { STORY_LABEL } from '../stories.mjs';

const config = new KubeConfig();
config.loadFromDefault();

export const core = config.makeApiClient(CoreV1Api);
export const apps = config.makeApiClient(AppsV1Api);

const LOOK_AGAIN_MS = 250;

/** Makes a namespace as strict as the strictest cluster's, unless it is there. */
export async function ensureNamespace(name: string): Promise<void> {
  const [key = '', value = ''] = STORY_LABEL.split('=');
  const labels = { [key]: value, 'pod-security.kubernetes.io/enforce': 'restricted' };
  try {
    await core.createNamespace({ body: { metadata: { name, labels } } });
  } catch (error) {
    if (!(error instanceof ApiException && error.code === 409)) throw error;
  }
}

/**
 * Looks until `probe` finds something and resolves to that. After `timeoutMs` it rejects, saying what did not happen and
 * what was wrong at the last look.
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let trouble: unknown;
  do {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      trouble = error;
    }
    await pause(LOOK_AGAIN_MS);
  } while (Date.now() < deadline);
  throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: trouble });
}

/** Pods of a namespace, of one component of a release if it is named. */
export async function podsOf(namespace: string, labels: Record<string, string> = {}): Promise<V1Pod[]> {
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  return (await core.listNamespacedPod({ namespace, ...(labelSelector && { labelSelector }) })).items;
}

/** Whether all containers of the pod are ready and nobody has told it to go. */
export function isReady(pod: V1Pod): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && pod.metadata?.deletionTimestamp === undefined;
}

/** Containers that ended and were started again, a line each: pod, container, how often, and how the last one ended. */
export async function restarts(namespace: string): Promise<string[]> {
  return (await podsOf(namespace)).flatMap((pod) =>
    (pod.status?.containerStatuses ?? [])
      .filter(({ restartCount }) => restartCount > 0)
      .map(({ name, restartCount, lastState }) => {
        const { reason, exitCode } = lastState?.terminated ?? {};
        return `${pod.metadata?.name}/${name} restarted ${restartCount} times, last: ${reason}, exit code ${exitCode}`;
      }),
  );
}

/** The Secrets of a namespace that are not Helm's own, with what is in them. */
export async function secretsOf(namespace: string): Promise<Record<string, Record<string, string>>> {
  const { items } = await core.listNamespacedSecret({ namespace });
  const found = items.filter(({ type }) => type !== 'helm.sh/release.v1');
  return Object.fromEntries(found.map(({ metadata, data }) => [metadata?.name ?? '', data ?? {}]));
}
