import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig as readIndexConfig } from '../index-server/config.js';
import { Signer } from '../index-server/signer.js';
import { readConfig as readPeerConfig } from '../peer/config.js';
import { readTlsFiles } from '../peer/tls/tls-files.js';
import { env, get, type Objects, pods, render, type Yaml } from './testing/render.js';

const decoded = (secret: Yaml, key: string) => Buffer.from(secret.data[key], 'base64').toString();

describe('a release called shoal', () => {
  let objects: Objects;
  beforeAll(async () => {
    objects = await render();
  });

  test('has the names that people type', () => {
    expect([...objects.keys()].sort()).toEqual([
      'ConfigMap/shoal-mongodb',
      'Deployment/shoal-index',
      'NetworkPolicy/shoal-index',
      'NetworkPolicy/shoal-mongodb',
      'NetworkPolicy/shoal-peer',
      'Pod/shoal-test',
      'PodDisruptionBudget/shoal-peer',
      'Role/shoal-index',
      'RoleBinding/shoal-index',
      'Secret/shoal-join',
      'Secret/shoal-mongodb',
      'Secret/shoal-signing-key',
      'Service/shoal-index',
      'Service/shoal-mongodb',
      'Service/shoal-peer',
      'Service/shoal-peer-http',
      'ServiceAccount/shoal-index',
      'ServiceAccount/shoal-mongodb',
      'ServiceAccount/shoal-peer',
      'StatefulSet/shoal-mongodb',
      'StatefulSet/shoal-peer',
    ]);
    const ports = (name: string) => get(objects, `Service/${name}`).spec.ports.map(({ port }: Yaml) => port);
    expect([ports('shoal-index'), ports('shoal-peer'), ports('shoal-peer-http')]).toEqual([
      [5000],
      [4999, 5001],
      [5001],
    ]);
  });

  test('labels all of its objects', () => {
    for (const { metadata } of objects.values()) {
      expect(metadata.labels).toMatchObject({
        'app.kubernetes.io/name': 'shoal',
        'app.kubernetes.io/instance': 'shoal',
        'app.kubernetes.io/component': expect.stringMatching(/^(index|peer|mongodb|test)$/),
        'app.kubernetes.io/managed-by': 'Helm',
      });
    }
  });

  test('has StatefulSets with a real headless Service each, that also leads to pods that are not ready', () => {
    for (const name of ['shoal-peer', 'shoal-mongodb']) {
      const { spec } = get(objects, `StatefulSet/${name}`);
      const service = get(objects, `Service/${spec.serviceName}`);
      expect(service.spec.clusterIP).toBe('None');
      expect(spec.template.metadata.labels).toMatchObject(service.spec.selector);
      expect(spec.selector.matchLabels).toEqual(service.spec.selector);
    }
    expect(get(objects, 'Service/shoal-peer').spec.publishNotReadyAddresses).toBe(true);
    expect(get(objects, 'StatefulSet/shoal-peer').spec.podManagementPolicy).toBe('Parallel');
  });

  test('has in what can never be changed nothing that a new version of the chart changes', () => {
    for (const { kind, spec } of objects.values()) {
      if (kind !== 'StatefulSet' && kind !== 'Deployment') continue;
      const fixed = [
        spec.selector.matchLabels,
        ...(spec.volumeClaimTemplates ?? []).map((claim: Yaml) => claim.metadata.labels),
      ];
      for (const labels of fixed) {
        expect(Object.keys(labels).sort()).toEqual(
          ['component', 'instance', 'name'].map((label) => `app.kubernetes.io/${label}`),
        );
      }
    }
  });

  test('keeps pods to the restricted standard, in full', () => {
    expect(pods(objects).size).toBe(4);
    for (const [name, { spec }] of pods(objects)) {
      expect([name, spec.securityContext]).toEqual([
        name,
        expect.objectContaining({
          runAsNonRoot: true,
          runAsUser: expect.any(Number),
          fsGroupChangePolicy: 'OnRootMismatch',
          seccompProfile: { type: 'RuntimeDefault' },
        }),
      ]);
      expect(spec.initContainers).toBeUndefined();
      for (const { securityContext } of spec.containers) {
        expect([name, securityContext]).toEqual([
          name,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        ]);
      }
      const kinds = spec.volumes.map((volume: Yaml) => Object.keys(volume).find((key) => key !== 'name'));
      expect(kinds.filter((kind: string) => !['secret', 'configMap', 'emptyDir'].includes(kind))).toEqual([]);
      expect(spec.hostNetwork ?? spec.hostPID ?? spec.hostIPC ?? false).toBe(false);
    }
  });

  test('mounts a token of its ServiceAccount in the index alone', () => {
    const mounting = [...pods(objects)].filter(([, { spec }]) => spec.automountServiceAccountToken !== false);
    expect(mounting.map(([name]) => name)).toEqual(['shoal-index']);
    for (const account of ['shoal-index', 'shoal-peer', 'shoal-mongodb']) {
      expect(get(objects, `ServiceAccount/${account}`).automountServiceAccountToken).toBe(false);
    }
    expect(get(objects, 'Role/shoal-index').rules).toEqual([
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['apps'], resources: ['statefulsets'], resourceNames: ['shoal-peer'], verbs: ['get'] },
    ]);
    expect(get(objects, 'RoleBinding/shoal-index').subjects).toEqual([
      { kind: 'ServiceAccount', name: 'shoal-index', namespace: 'apps' },
    ]);
  });

  test('asks for little, limits memory and not CPU, and takes no variables from Services', () => {
    for (const [name, { spec }] of pods(objects)) {
      const { requests, limits } = spec.containers[0].resources;
      expect([name, Object.keys(limits), requests.cpu]).toEqual([name, ['memory'], '50m']);
      expect(spec.enableServiceLinks).toBe(false);
      expect(spec.dnsConfig.options).toEqual([{ name: 'ndots', value: '2' }]);
    }
  });

  test('probes what depends on nothing outside, and gives a pod time to leave', () => {
    for (const name of ['shoal-index', 'shoal-peer']) {
      const pod = pods(objects).get(name);
      const [{ startupProbe, livenessProbe, readinessProbe, lifecycle }] = pod.spec.containers;
      expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => [httpGet.port, httpGet.path])).toEqual([
        ['http', '/livez'],
        ['http', '/livez'],
        ['http', '/readyz'],
      ]);
      const drain = Number(env(pod, 'SHOAL_DRAIN_SECONDS') ?? 10);
      expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(lifecycle.preStop.sleep.seconds + drain);
    }
  });

  test('tells Prometheus where the metrics are', () => {
    const annotations = (name: string) => pods(objects).get(name).metadata.annotations;
    for (const [name, port] of [
      ['shoal-index', '5000'],
      ['shoal-peer', '5001'],
    ] as const) {
      expect(annotations(name)).toEqual({
        'prometheus.io/scrape': 'true',
        'prometheus.io/port': port,
        'prometheus.io/path': '/metrics',
      });
    }
    expect(annotations('shoal-mongodb')).toBeUndefined();
  });

  test('lets each door be used by those who need it', () => {
    const component = (name: string) => ({
      podSelector: {
        matchLabels: {
          'app.kubernetes.io/name': 'shoal',
          'app.kubernetes.io/instance': 'shoal',
          'app.kubernetes.io/component': name,
        },
      },
    });
    const clients = { podSelector: { matchLabels: { 'shoal-client': 'true' } } };
    const prometheus = {
      namespaceSelector: {},
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
    };
    const rules = (name: string) =>
      get(objects, `NetworkPolicy/${name}`).spec.ingress.map(({ ports, from }: Yaml) => [ports[0].port, from]);
    expect(rules('shoal-index')).toEqual([['http', [component('peer'), clients, prometheus]]]);
    expect(rules('shoal-peer')).toEqual([
      ['grpc', [component('peer')]],
      ['http', [clients, prometheus]],
    ]);
    expect(rules('shoal-mongodb')).toEqual([['mongodb', [component('index')]]]);
    expect(get(objects, 'Pod/shoal-test').metadata.labels).toMatchObject(clients.podSelector.matchLabels);
  });

  test('generates secrets that the programs take', async () => {
    const key = decoded(get(objects, 'Secret/shoal-signing-key'), 'signing-key.pem');
    expect((await Signer.fromPem(key)).publicJwk.crv).toBe('Ed25519');
    const mongodb = get(objects, 'Secret/shoal-mongodb');
    const password = decoded(mongodb, 'password');
    expect(decoded(mongodb, 'uri')).toBe(
      `mongodb://shoal:${password}@shoal-mongodb.apps.svc.cluster.local:27017/shoal`,
    );
    expect(password).toMatch(/^\w{32}$/);
    expect(decoded(mongodb, 'root-password')).not.toBe(password);
    const again = await render();
    for (const [name, field] of [
      ['shoal-join', 'join-secret'],
      ['shoal-signing-key', 'signing-key.pem'],
      ['shoal-mongodb', 'password'],
    ] as const) {
      const [one, two] = [objects, again].map((from) => get(from, `Secret/${name}`).data[field]);
      expect(one).not.toBe(two);
    }
  });
});

describe('mutual TLS', () => {
  test('has a certificate that the programs take, for the names by which peers call each other', async () => {
    const release = { release: 'files', values: { tls: { enabled: true }, clusterDomain: 'example.org' } };
    const secret = get(await render(release), 'Secret/files-shoal-peer-tls');
    expect(secret.type).toBe('kubernetes.io/tls');
    const folder = await mkdtemp(join(tmpdir(), 'shoal-chart-'));
    try {
      const files = await Promise.all(
        ['tls.crt', 'tls.key', 'ca.crt'].map(async (key) => {
          await writeFile(join(folder, key), decoded(secret, key));
          return join(folder, key);
        }),
      );
      const [certFile = '', keyFile = '', caFile = ''] = files;
      const { certificate } = await readTlsFiles({ certFile, keyFile, caFile });
      const domain = 'files-shoal-peer.apps.svc.example.org';
      expect(certificate.checkHost(`files-shoal-peer-0.${domain}`)).toBeDefined();
      expect(certificate.checkHost(domain)).toBeDefined();
      expect(certificate.checkHost(`a.b.${domain}`)).toBeUndefined();
      const authority = new X509Certificate(decoded(secret, 'ca.crt'));
      expect(certificate.verify(authority.publicKey)).toBe(true);
      expect(authority.ca).toBe(true);
      // Those of clients and servers, RFC 5280 section 4.2.1.12.
      expect(certificate.keyUsage?.toSorted()).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
      expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(9 * 365 * 24 * 3600 * 1000);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('leaves probes and the HTTP doors as they are', async () => {
    const [without, secured] = [await render(), await render({ values: { tls: { enabled: true } } })].map((objects) => {
      const [container] = pods(objects).get('shoal-peer').spec.containers;
      return [container.startupProbe, container.livenessProbe, container.readinessProbe, container.ports];
    });
    expect(secured).toEqual(without);
  });
});

describe('the environment of a container', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-chart-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** As the kubelet would make it. Of the files that are mounted, the join secret is there. */
  async function environment(objects: Objects, name: string): Promise<NodeJS.ProcessEnv> {
    const pod = pods(objects).get(name);
    const secret = join(folder, 'join-secret');
    await writeFile(secret, decoded(get(objects, 'Secret/shoal-join'), 'join-secret'));
    const known: NodeJS.ProcessEnv = {};
    for (const { name: variable, value, valueFrom } of pod.spec.containers[0].env) {
      if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') known[variable] = 'shoal-peer-0';
      else if (valueFrom?.fieldRef?.fieldPath === 'metadata.namespace') known[variable] = 'apps';
      else if (valueFrom?.secretKeyRef) {
        const { name: from, key } = valueFrom.secretKeyRef;
        known[variable] = decoded(get(objects, `Secret/${from}`), key);
      } else known[variable] = value.replaceAll(/\$\((\w+)\)/g, (_: string, other: string) => known[other] ?? '?');
    }
    expect(known['SHOAL_JOIN_SECRET_FILE']).toBe('/etc/shoal/join/join-secret');
    return { ...known, SHOAL_JOIN_SECRET_FILE: secret };
  }

  test('is what the index takes', async () => {
    const objects = await render();
    const found = await environment(objects, 'shoal-index');
    expect(readIndexConfig(found)).toMatchObject({
      port: 5000,
      listenAddress: '0.0.0.0',
      store: expect.stringMatching(/^mongodb:/),
      signingKeyFile: '/etc/shoal/signing-key/signing-key.pem',
      joinSecret: expect.stringMatching(/^\w{40}$/),
    });
    expect(found).toMatchObject({ SHOAL_PEER_SERVICE: 'shoal-peer', SHOAL_NAMESPACE: 'apps' });
    expect(found).toMatchObject({ SHOAL_PEER_STATEFUL_SET: 'shoal-peer' });
    expect(objects.has(`StatefulSet/${found['SHOAL_PEER_STATEFUL_SET']}`)).toBe(true);
  });

  test('is what a peer with TLS takes', async () => {
    const found = await environment(await render({ values: { tls: { enabled: true } } }), 'shoal-peer');
    expect(readPeerConfig(found).tls).toEqual({
      certFile: '/etc/shoal/tls/tls.crt',
      keyFile: '/etc/shoal/tls/tls.key',
      caFile: '/etc/shoal/tls/ca.crt',
    });
  });

  test('is what a peer takes, and the command line beside it', async () => {
    const found = await environment(await render(), 'shoal-peer');
    expect(readPeerConfig(found)).toMatchObject({
      peerName: 'shoal-peer-0',
      advertiseAddress: 'shoal-peer-0.shoal-peer.apps.svc.cluster.local:4999',
      indexUrl: 'http://shoal-index.apps.svc.cluster.local:5000',
      dataDir: '/data/store',
      shareDir: '/data/share',
      socketPath: '/run/shoal/control.sock',
      grpcPort: 4999,
      httpPort: 5001,
      replicas: 2,
      quotaBytes: 0,
      handOver: 'scale-down',
      handOverSeconds: 300,
    });
  });
});

test('two releases in one namespace share nothing', async () => {
  const [one, two] = [await render({ release: 'one' }), await render({ release: 'two' })];
  expect([...one.keys()].filter((key) => two.has(key))).toEqual([]);
  const selectors = (objects: Objects) =>
    [...objects.values()].map(
      ({ spec }) => spec?.selector?.matchLabels ?? spec?.podSelector?.matchLabels ?? spec?.selector,
    );
  for (const selector of selectors(one).filter(Boolean)) {
    expect(selector).toMatchObject({ 'app.kubernetes.io/instance': 'one' });
  }
});

test('names stay short enough for what Kubernetes puts behind them', async () => {
  const objects = await render({ release: 'r'.repeat(53) });
  for (const { kind, metadata } of objects.values()) {
    // A StatefulSet's pods have its name and eleven characters more in a label of 63.
    expect([kind, metadata.name.length <= (kind === 'StatefulSet' ? 52 : 63)]).toEqual([kind, true]);
  }
});
