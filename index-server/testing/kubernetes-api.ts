import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

/** A pod as a test sets it: its conditions, or that it is none of them any more. */
export interface FakePod {
  readonly name: string;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: object;
}

/**
 * The part of a Kubernetes API server that tells EndpointSlices, over real HTTP: lists, chunked watches that go on from a
 * resource version, bookmarks, 410 for what it has forgotten, 403 for what is not allowed.
 */
export class KubernetesApi {
  readonly #server: Server;
  readonly #slices = new Map<string, object>();
  readonly #history: Change[] = [];
  readonly #watches = new Set<ServerResponse>();
  #version = 100;
  /** The oldest version from which a watch can go on. */
  #oldest = 0;
  /** Verbs that are refused with 403. */
  readonly forbidden = new Set<'list' | 'watch'>();
  /** Requests that came, as `list` or `watch FROM`. */
  readonly requests: string[] = [];
  /** Whether an old version is answered with status 410, or with an event in a stream of status 200. */
  expiresByStatus = false;
  /** What the StatefulSet of the peers is; undefined when there is none. */
  statefulSet: object | undefined;
  /** Whether reading the StatefulSet is refused with 403. */
  isSetForbidden = false;
  /** Requests are taken and not answered. */
  isSilent = false;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  static async start(): Promise<KubernetesApi> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new KubernetesApi(server);
  }

  /** How a client reaches it, with a token. */
  get kubeConfig(): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      // The library wants it told that this is no TLS.
      { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'index', token: 'token-of-the-index' },
    );
    return config;
  }

  get watchers(): number {
    return this.#watches.size;
  }

  get version(): string {
    return String(this.#version);
  }

  /** Makes or changes a slice of the Service. */
  setSlice(name: string, pods: readonly FakePod[]): void {
    const type = this.#slices.has(name) ? 'MODIFIED' : 'ADDED';
    this.#version += 1;
    const object = {
      kind: 'EndpointSlice',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: { name, namespace: 'team-a', resourceVersion: this.version },
      addressType: 'IPv4',
      endpoints: pods.map(endpointOf),
    };
    this.#slices.set(name, object);
    this.#happened({ version: this.#version, type, object });
  }

  deleteSlice(name: string): void {
    const object = this.#slices.get(name);
    if (object === undefined) throw new Error(`there is no slice ${name}`);
    this.#slices.delete(name);
    this.#version += 1;
    const metadata = { name, resourceVersion: this.version };
    this.#happened({ version: this.#version, type: 'DELETED', object: { ...object, metadata } });
  }

  /** Time passes in the rest of the cluster; watchers hear how far it is. */
  bookmark(): void {
    this.#version += 10;
    const object = { kind: 'EndpointSlice', metadata: { resourceVersion: this.version, annotations: {} } };
    for (const watch of this.#watches) watch.write(line('BOOKMARK', object));
  }

  /** Forgets what happened: no watch goes on from before now. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history.length = 0;
  }

  /** Ends the watches in good order. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  /** Ends the watches in the middle of a line. */
  breakWatches(): void {
    for (const watch of this.#watches) {
      watch.write('{"type":"MODIFIED","obj');
      watch.socket?.destroy();
    }
  }

  /** Sends every watcher something that is no event. */
  sendGarbage(): void {
    for (const watch of this.#watches) watch.write('<html>502 Bad Gateway</html>\n');
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://api');
    if (url.pathname.startsWith('/apis/apps/')) {
      this.#answerSet(url.pathname, response);
      return;
    }
    const isWatch = url.searchParams.get('watch') === 'true';
    const from = url.searchParams.get('resourceVersion') ?? '';
    this.requests.push(isWatch ? `watch ${from}` : 'list');
    if (this.isSilent) return;
    const isExpected =
      url.pathname === '/apis/discovery.k8s.io/v1/namespaces/team-a/endpointslices' &&
      url.searchParams.get('labelSelector') === 'kubernetes.io/service-name=shoal-peer';
    if (!isExpected) status(response, 404, `nothing at ${url}`);
    else if (request.headers.authorization !== 'Bearer token-of-the-index') status(response, 401, 'Unauthorized');
    else if (this.forbidden.has(isWatch ? 'watch' : 'list')) status(response, 403, FORBIDDEN);
    else if (isWatch) this.#watch(Number(from), response);
    else this.#list(response);
  }

  #list(response: ServerResponse): void {
    const body = { kind: 'EndpointSliceList', metadata: { resourceVersion: this.version } };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...body, items: [...this.#slices.values()] }));
  }

  #watch(from: number, response: ServerResponse): void {
    if (from < this.#oldest && this.expiresByStatus) {
      status(response, 410, EXPIRED);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (from < this.#oldest) {
      response.end(
        line('ERROR', { kind: 'Status', status: 'Failure', message: EXPIRED, reason: 'Expired', code: 410 }),
      );
      return;
    }
    for (const { version, type, object } of this.#history) if (version > from) response.write(line(type, object));
    this.#watches.add(response);
    response.once('close', () => this.#watches.delete(response));
  }

  #answerSet(path: string, response: ServerResponse): void {
    if (this.isSilent) return;
    const isThere =
      path === '/apis/apps/v1/namespaces/team-a/statefulsets/shoal-peer' && this.statefulSet !== undefined;
    if (this.isSetForbidden) status(response, 403, 'statefulsets.apps "shoal-peer" is forbidden');
    else if (!isThere) status(response, 404, 'statefulsets.apps "shoal-peer" not found');
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.statefulSet));
  }

  #happened(change: Change): void {
    this.#history.push(change);
    for (const watch of this.#watches) watch.write(line(change.type, change.object));
  }
}

const FORBIDDEN =
  'endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:team-a:shoal-index" cannot list resource';
const EXPIRED = 'too old resource version: 1 (100)';

function endpointOf({ name, serving = true, terminating = false }: FakePod): object {
  return {
    addresses: ['10.0.0.1'],
    // As Kubernetes does for a Service with publishNotReadyAddresses.
    conditions: { ready: true, serving, terminating },
    hostname: name,
    targetRef: { kind: 'Pod', namespace: 'team-a', name, uid: `uid-of-${name}` },
  };
}

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function status(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code }));
}
