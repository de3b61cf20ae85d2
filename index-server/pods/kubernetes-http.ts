import { once } from 'node:events';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps, type RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { z } from 'zod';
import { type ErrorCode, ShoalError, toShoalError } from '../../common/errors.js';

/*
 * Requests to the API server of a Kubernetes cluster. Of the client library this takes who we are and how the cluster is
 * reached (token, certificates, proxy). Its requests cannot be given up while they connect, and its Watch does not say why
 * it was refused, so they are made here.
 */

/** Status of the answers that mean something of their own here. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthenticated',
  403: 'denied',
  404: 'not_found',
  410: 'conflict',
};
const KEEPALIVE_MS = 30_000;

const statusSchema = z.object({ message: z.string().default('') });

/** How to reach the cluster that this process runs in, or the one that the user's kubeconfig names. */
export async function loadKubeConfig(): Promise<KubeConfig> {
  // It takes a third of a second and 60 MB, which only those pay who ask.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  // What the library falls back to.
  if (config.getCurrentCluster()?.server !== 'http://localhost:8080') return config;
  throw new ShoalError('denied', 'there is no Kubernetes here: no ServiceAccount token is mounted', {
    hint: 'mount the token of a ServiceAccount, or unset SHOAL_PEER_SERVICE and SHOAL_PEER_STATEFUL_SET',
  });
}

/** What to ask for, and what to say to whom may not. */
export interface KubernetesRequest {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly deniedHint: string;
}

/** The answer, of which only the head is here. Throws what {@link refusalOf} makes, and `unavailable` when there is none. */
export async function getKubernetes(
  load: () => Promise<KubeConfig>,
  request: KubernetesRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  try {
    const sent = await send(load, request, signal);
    sent.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_MS));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    if (response.statusCode === 200) return response;
    throw refusalOf(response.statusCode ?? 0, await textOf(response), request.deniedHint);
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    throw new ShoalError('unavailable', `the Kubernetes API does not answer: ${toShoalError(cause).message}`, {
      cause,
    });
  }
}

/** A refusal: `unauthenticated`, `denied`, `not_found`, `conflict` for what is over, `unavailable` for all others. */
export function refusalOf(status: number, text: string, deniedHint: string): ShoalError {
  const message = messageIn(text) ?? `status ${status}`;
  const code = CODES[status] ?? 'unavailable';
  return new ShoalError(code, `the Kubernetes API refused: ${message}`, {
    ...(code === 'denied' && { hint: deniedHint }),
  });
}

/** All of an answer. */
export async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  return text;
}

async function send(load: () => Promise<KubeConfig>, { path, query = {} }: KubernetesRequest, signal: AbortSignal) {
  const config = await load();
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const url = new URL(`${config.getCurrentCluster()?.server}${path}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const get = url.protocol === 'https:' ? getHttps : getHttp;
  return get(url, { ...options, signal });
}

function messageIn(text: string): string | undefined {
  try {
    return statusSchema.parse(JSON.parse(text)).message || undefined;
  } catch {
    // A proxy's page, perhaps; the status says enough.
    return undefined;
  }
}
