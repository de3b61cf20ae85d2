import type { IncomingMessage } from 'node:http';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { ShoalError, toShoalError } from '../../common/errors.js';
import { endpointSliceListSchema, endpointSliceSchema } from './endpoint-slices.js';
import { getKubernetes, refusalOf, textOf } from './kubernetes-http.js';
import { ExpiredError, type SliceEvent, type SliceSource } from './pod-watch.js';

/*
 * The slices of a Service as the API server of a Kubernetes cluster tells them.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

/** Whose slices, and for how long one watch goes on. */
export interface KubernetesSlicesOptions {
  readonly service: string;
  /** Undefined where nobody told, which is outside a cluster. */
  readonly namespace: string | undefined;
  /** The server ends a watch after this time; one that has not ended some time later is taken for dead. */
  readonly watchSeconds: number;
  /** For everything but the events of a watch. */
  readonly timeoutMs: number;
}

const DENIED_HINT = 'give the ServiceAccount of the index get, list and watch on endpointslices of discovery.k8s.io';

const statusSchema = z.object({ code: z.number().default(0), message: z.string().default('') });
const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: endpointSliceSchema }),
  z.object({ type: z.literal('BOOKMARK'), object: endpointSliceSchema }),
  z.object({ type: z.literal('ERROR'), object: statusSchema }),
]);

/** A {@link SliceSource} that asks an API server. */
export class KubernetesSlices implements SliceSource {
  readonly #load: () => Promise<KubeConfig>;
  readonly #options: KubernetesSlicesOptions;

  constructor(deps: { readonly load: () => Promise<KubeConfig> }, options: KubernetesSlicesOptions) {
    this.#load = deps.load;
    this.#options = options;
  }

  get description(): string {
    const { service, namespace = '?' } = this.#options;
    return `the EndpointSlices of Service ${namespace}/${service}`;
  }

  async list(signal: AbortSignal): ReturnType<SliceSource['list']> {
    const timed = AbortSignal.any([signal, AbortSignal.timeout(this.#options.timeoutMs)]);
    const response = await this.#get({}, timed);
    const { metadata, items } = endpointSliceListSchema.parse(JSON.parse(await textOf(response)));
    return { slices: items, resourceVersion: metadata.resourceVersion };
  }

  async watch(resourceVersion: string, signal: AbortSignal): Promise<AsyncIterable<SliceEvent>> {
    const { watchSeconds, timeoutMs } = this.#options;
    const limit = AbortSignal.timeout(watchSeconds * 1000 + timeoutMs);
    const opening = new AbortController();
    const slow = setTimeout(() => opening.abort(), timeoutMs);
    const query = {
      ...{ watch: 'true', allowWatchBookmarks: 'true' },
      ...{ resourceVersion, timeoutSeconds: String(watchSeconds) },
    };
    try {
      return eventsOf(await this.#get(query, AbortSignal.any([signal, limit, opening.signal])));
    } finally {
      clearTimeout(slow);
    }
  }

  async #get(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    const { service, namespace } = this.#options;
    if (namespace === undefined) {
      throw new ShoalError('denied', 'SHOAL_NAMESPACE is not set, and no ServiceAccount tells the namespace', {
        hint: 'set SHOAL_NAMESPACE, or unset SHOAL_PEER_SERVICE outside a cluster',
      });
    }
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const selected = { labelSelector: `kubernetes.io/service-name=${service}`, ...query };
    const request = { path, query: selected, deniedHint: DENIED_HINT };
    try {
      return await getKubernetes(this.#load, request, signal);
    } catch (error) {
      throw expiredOr(toShoalError(error));
    }
  }
}

/** `conflict` is what the API says of a place that it has forgotten. */
function expiredOr(error: ShoalError): ShoalError {
  return error.code === 'conflict' ? new ExpiredError(error.message) : error;
}

async function* eventsOf(response: IncomingMessage): AsyncGenerator<SliceEvent> {
  for await (const line of linesOf(response)) {
    const event = eventSchema.parse(JSON.parse(line));
    if (event.type === 'ERROR')
      throw expiredOr(refusalOf(event.object.code, JSON.stringify(event.object), DENIED_HINT));
    const { object } = event;
    if (event.type === 'BOOKMARK') yield { type: 'bookmark', resourceVersion: object.metadata.resourceVersion };
    else yield { type: event.type === 'DELETED' ? 'deleted' : 'set', slice: object };
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const piece of response) {
    const lines = `${rest}${piece}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
  }
}
