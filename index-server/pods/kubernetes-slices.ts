import { once } from 'node:events';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps, type RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { type ErrorCode, ShoalError, toShoalError } from '../../common/errors.js';
import { endpointSliceListSchema, endpointSliceSchema } from './endpoint-slices.js';
import { ExpiredError, type SliceEvent, type SliceSource } from './pod-watch.js';

/*
 * The slices of a Service as the API server of a Kubernetes cluster tells them.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 *
 * Of the client library this takes who we are and how the cluster is reached (token, certificates, proxy). Its Watch cannot
 * be given up while it connects and does not say why it was refused, so the two requests are made here.
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

/** Status of the answers that mean something of their own here. */
const CODES: Readonly<Record<number, ErrorCode>> = { 401: 'unauthenticated', 403: 'denied' };
const GONE = 410;
const KEEPALIVE_MS = 30_000;

const statusSchema = z.object({ code: z.number().default(0), message: z.string().default('') });
const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: endpointSliceSchema }),
  z.object({ type: z.literal('BOOKMARK'), object: endpointSliceSchema }),
  z.object({ type: z.literal('ERROR'), object: statusSchema }),
]);

/** How to reach the cluster that this process runs in, or the one that the user's kubeconfig names. */
export async function loadKubeConfig(): Promise<KubeConfig> {
  // It takes a third of a second and 60 MB, which only those pay who watch.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  // What the library falls back to.
  if (config.getCurrentCluster()?.server !== 'http://localhost:8080') return config;
  throw new ShoalError('denied', 'there is no Kubernetes here: no ServiceAccount token is mounted', {
    hint: 'mount the token of a ServiceAccount, or unset SHOAL_PEER_SERVICE',
  });
}

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

  /** The answer, of which only the head is here. */
  async #get(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      const request = await this.#request(query, signal);
      request.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      if (response.statusCode === 200) return response;
      throw refusal(response.statusCode ?? 0, await textOf(response));
    } catch (cause) {
      if (cause instanceof ShoalError) throw cause;
      throw new ShoalError('unavailable', `the Kubernetes API does not answer: ${toShoalError(cause).message}`, {
        cause,
      });
    }
  }

  async #request(query: Readonly<Record<string, string>>, signal: AbortSignal) {
    const { service, namespace } = this.#options;
    if (namespace === undefined) {
      throw new ShoalError('denied', 'SHOAL_NAMESPACE is not set, and no ServiceAccount tells the namespace', {
        hint: 'set SHOAL_NAMESPACE, or unset SHOAL_PEER_SERVICE outside a cluster',
      });
    }
    const config = await this.#load();
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const url = new URL(`${config.getCurrentCluster()?.server}${path}`);
    for (const [name, value] of Object.entries({ labelSelector: `kubernetes.io/service-name=${service}`, ...query })) {
      url.searchParams.set(name, value);
    }
    const get = url.protocol === 'https:' ? getHttps : getHttp;
    return get(url, { ...options, signal });
  }
}

function refusal(status: number, text: string): ShoalError {
  const message = messageIn(text) ?? `status ${status}`;
  if (status === GONE) return new ExpiredError(message);
  const code = CODES[status] ?? 'unavailable';
  return new ShoalError(code, `the Kubernetes API refused: ${message}`, {
    ...(code === 'denied' && {
      hint: 'give the ServiceAccount of the index get, list and watch on endpointslices of discovery.k8s.io',
    }),
  });
}

function messageIn(text: string): string | undefined {
  try {
    return statusSchema.parse(JSON.parse(text)).message || undefined;
  } catch {
    // A proxy's page, perhaps; the status says enough.
    return undefined;
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  return text;
}

async function* eventsOf(response: IncomingMessage): AsyncGenerator<SliceEvent> {
  for await (const line of linesOf(response)) {
    const event = eventSchema.parse(JSON.parse(line));
    if (event.type === 'ERROR') throw refusal(event.object.code, line);
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
