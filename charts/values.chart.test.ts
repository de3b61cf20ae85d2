import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart, env, get, type Objects, pods, render, type Yaml } from './testing/render.js';
import { valuesIn } from './values-table.mjs';

/* Every value that there is changes what is made: no value is read by nobody. */

interface Case {
  readonly value: unknown;
  /** Values that it needs to be seen. */
  readonly with?: object;
  /** Looks at one thing, which differs from what it is by default. */
  readonly see: (objects: Objects) => Yaml;
  /** What is seen then. */
  readonly becomes: Yaml;
}

const index = (objects: Objects) => get(objects, 'Deployment/shoal-index').spec.template;
const peer = (objects: Objects) => get(objects, 'StatefulSet/shoal-peer').spec.template;
const mongodb = (objects: Objects) => get(objects, 'StatefulSet/shoal-mongodb').spec.template;
const container = (pod: Yaml) => pod.spec.containers[0];
const seconds = (pod: Yaml) => [
  container(pod).lifecycle?.preStop.sleep.seconds,
  pod.spec.terminationGracePeriodSeconds,
];
const claim = (name: string) => (objects: Objects) =>
  get(objects, `StatefulSet/${name}`).spec.volumeClaimTemplates?.[0]?.spec;
const retention = (objects: Objects) =>
  get(objects, 'StatefulSet/shoal-peer').spec.persistentVolumeClaimRetentionPolicy;
const secretOf = (pod: Yaml, volume: string) =>
  pod.spec.volumes.find(({ name }: Yaml) => name === volume).secret.secretName;
const metadata = (key: string) => (objects: Objects) => objects.get(key)?.metadata;
const sources = (policy: string, port: string) => (objects: Objects) =>
  get(objects, `NetworkPolicy/${policy}`)
    .spec.ingress.filter(({ ports }: Yaml) => ports[0].port === port)
    .flatMap(({ from }: Yaml) => from);

const EMBEDDED = { mongodb: { enabled: false } };
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const someone = { podSelector: { matchLabels: { app: 'someone' } } };

/** Values that index, peer and mongodb all have. */
function common(name: 'index' | 'peer' | 'mongodb', pod: (objects: Objects) => Yaml): Record<string, Case> {
  const account = `ServiceAccount/shoal-${name}`;
  const set = (value: object) => ({ [name]: value });
  return {
    resources: {
      value: { requests: { cpu: '2' } },
      see: (objects) => container(pod(objects)).resources.requests.cpu,
      becomes: '2',
    },
    podAnnotations: {
      value: { note: 'n', 'prometheus.io/scrape': 'false' },
      see: (objects) => pod(objects).metadata.annotations,
      becomes: expect.objectContaining({ note: 'n', 'prometheus.io/scrape': 'false' }),
    },
    podLabels: { value: { team: 't' }, see: (objects) => pod(objects).metadata.labels.team, becomes: 't' },
    priorityClassName: { value: 'high', see: (objects) => pod(objects).spec.priorityClassName, becomes: 'high' },
    nodeSelector: {
      value: { disk: 'ssd' },
      see: (objects) => pod(objects).spec.nodeSelector,
      becomes: { disk: 'ssd' },
    },
    tolerations: {
      value: [{ operator: 'Exists' }],
      see: (objects) => pod(objects).spec.tolerations,
      becomes: [{ operator: 'Exists' }],
    },
    affinity: {
      value: { nodeAffinity: {} },
      see: (objects) => pod(objects).spec.affinity,
      becomes: { nodeAffinity: {} },
    },
    'serviceAccount.create': {
      value: false,
      see: (objects) => [objects.has(account), pod(objects).spec.serviceAccountName],
      becomes: [false, 'default'],
    },
    'serviceAccount.name': {
      value: 'mine',
      see: (objects) => [objects.has('ServiceAccount/mine'), pod(objects).spec.serviceAccountName],
      becomes: [true, 'mine'],
    },
    'serviceAccount.annotations': {
      value: { a: 'b' },
      see: (objects) => get(objects, account).metadata.annotations,
      becomes: { a: 'b' },
    },
    ...(name === 'mongodb'
      ? {}
      : {
          extraEnv: {
            value: [{ name: 'NODE_OPTIONS', value: '--trace-warnings' }],
            see: (objects: Objects) => env(pod(objects), 'NODE_OPTIONS'),
            becomes: '--trace-warnings',
          },
          topologySpreadConstraints: {
            value: [{ maxSkew: 2, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
            see: (objects: Objects) => pod(objects).spec.topologySpreadConstraints,
            becomes: [
              {
                maxSkew: 2,
                topologyKey: 'zone',
                whenUnsatisfiable: 'DoNotSchedule',
                labelSelector: {
                  matchLabels: {
                    'app.kubernetes.io/name': 'shoal',
                    'app.kubernetes.io/instance': 'shoal',
                    'app.kubernetes.io/component': name,
                  },
                },
              },
            ],
          },
          'podDisruptionBudget.enabled': {
            value: false,
            with: set({ replicas: 2 }),
            see: (objects: Objects) => objects.has(`PodDisruptionBudget/shoal-${name}`),
            becomes: false,
          },
          'podDisruptionBudget.maxUnavailable': {
            value: '50%',
            with: set({ replicas: 2 }),
            see: (objects: Objects) => objects.get(`PodDisruptionBudget/shoal-${name}`)?.spec.maxUnavailable,
            becomes: '50%',
          },
        }),
  };
}

/** An environment variable of a program. */
const variable = (pod: (objects: Objects) => Yaml, name: string, value: unknown): Case => ({
  value,
  see: (objects) => env(pod(objects), name),
  becomes: String(value),
});

const cases: Record<string, Case> = {
  nameOverride: {
    value: 'files',
    see: (objects) => objects.get('StatefulSet/shoal-files-peer')?.metadata.labels['app.kubernetes.io/name'],
    becomes: 'files',
  },
  fullnameOverride: { value: 'files', see: (objects) => objects.has('StatefulSet/files-peer'), becomes: true },
  clusterDomain: {
    value: 'example.org',
    see: (objects) => [env(peer(objects), 'SHOAL_INDEX_URL'), env(peer(objects), 'SHOAL_ADVERTISE_ADDRESS')],
    becomes: [
      'http://shoal-index.apps.svc.example.org:5000',
      '$(SHOAL_PEER_NAME).shoal-peer.apps.svc.example.org:4999',
    ],
  },
  logLevel: {
    value: 'debug',
    see: (objects) => [index, peer].map((pod) => env(pod(objects), 'SHOAL_LOG_LEVEL')),
    becomes: ['debug', 'debug'],
  },
  'image.registry': {
    value: 'registry.example:5000',
    see: (objects) => container(peer(objects)).image,
    becomes: 'registry.example:5000/shoal:0.1.0',
  },
  'image.repository': {
    value: 'team/shoal',
    see: (objects) => container(index(objects)).image,
    becomes: 'team/shoal:0.1.0',
  },
  'image.tag': { value: 'x', see: (objects) => container(index(objects)).image, becomes: 'shoal:x' },
  'image.digest': {
    value: digest,
    with: { image: { tag: 'unused' } },
    see: (objects) => container(peer(objects)).image,
    becomes: `shoal@${digest}`,
  },
  'image.pullPolicy': { value: 'Never', see: (objects) => container(peer(objects)).imagePullPolicy, becomes: 'Never' },
  imagePullSecrets: {
    value: [{ name: 'r' }],
    see: (objects) => [...pods(objects).values()].map(({ spec }) => spec.imagePullSecrets),
    becomes: Array(4).fill([{ name: 'r' }]),
  },
  podSecurityContext: {
    value: { runAsUser: 7 },
    see: (objects) => [index, peer].map((pod) => pod(objects).spec.securityContext.runAsUser),
    becomes: [7, 7],
  },
  containerSecurityContext: {
    value: { readOnlyRootFilesystem: false },
    see: (objects) =>
      [index, peer, mongodb].map((pod) => container(pod(objects)).securityContext.readOnlyRootFilesystem),
    becomes: [false, false, false],
  },
  'join.existingSecret': {
    value: 'mine',
    see: (objects) => [
      objects.has('Secret/shoal-join'),
      ...[index, peer].map((pod) => secretOf(pod(objects), 'join-secret')),
    ],
    becomes: [false, 'mine', 'mine'],
  },
  'tls.enabled': {
    value: true,
    see: (objects) => [objects.has('Secret/shoal-peer-tls'), env(peer(objects), 'SHOAL_TLS_CERT_FILE')],
    becomes: [true, '/etc/shoal/tls/tls.crt'],
  },
  'tls.existingSecret': {
    value: 'mine',
    with: { tls: { enabled: true } },
    see: (objects) => [objects.has('Secret/shoal-peer-tls'), secretOf(peer(objects), 'tls')],
    becomes: [false, 'mine'],
  },
  'signingKey.existingSecret': {
    value: 'mine',
    see: (objects) => [objects.has('Secret/shoal-signing-key'), secretOf(index(objects), 'signing-key')],
    becomes: [false, 'mine'],
  },

  'index.replicas': { value: 2, see: (objects) => get(objects, 'Deployment/shoal-index').spec.replicas, becomes: 2 },
  'index.sessionHours': variable(index, 'SHOAL_SESSION_HOURS', 1),
  'index.keepVersions': variable(index, 'SHOAL_KEEP_VERSIONS', 3),
  'index.leaseSeconds': variable(index, 'SHOAL_LEASE_SECONDS', 5),
  'index.repairAfterSeconds': variable(index, 'SHOAL_REPAIR_AFTER_SECONDS', 0),
  'index.preStopSeconds': { value: 0, see: (objects) => seconds(index(objects)), becomes: [undefined, 20] },
  'index.endpointWatch.enabled': {
    value: false,
    see: (objects) => [
      objects.has('Role/shoal-index'),
      objects.has('RoleBinding/shoal-index'),
      env(index(objects), 'SHOAL_PEER_SERVICE'),
      env(index(objects), 'SHOAL_PEER_STATEFUL_SET'),
      env(index(objects), 'SHOAL_NAMESPACE'),
      index(objects).spec.automountServiceAccountToken,
    ],
    becomes: [false, false, undefined, undefined, undefined, false],
  },
  'index.persistence.size': {
    value: '1Gi',
    with: EMBEDDED,
    see: (objects) => objects.get('PersistentVolumeClaim/shoal-index')?.spec.resources.requests.storage,
    becomes: '1Gi',
  },
  'index.persistence.storageClass': {
    value: 'fast',
    with: EMBEDDED,
    see: (objects) => objects.get('PersistentVolumeClaim/shoal-index')?.spec.storageClassName,
    becomes: 'fast',
  },
  'index.persistence.whenDeleted': {
    value: 'Delete',
    with: EMBEDDED,
    see: (objects) => objects.get('PersistentVolumeClaim/shoal-index')?.metadata.annotations ?? 'none',
    becomes: 'none',
  },
  'index.service.type': {
    value: 'NodePort',
    see: (objects) => get(objects, 'Service/shoal-index').spec.type,
    becomes: 'NodePort',
  },
  'index.service.annotations': {
    value: { a: 'b' },
    see: (objects) => get(objects, 'Service/shoal-index').metadata.annotations,
    becomes: { a: 'b' },
  },
  ...prefixed('index', common('index', index)),

  'peer.replicas': { value: 5, see: (objects) => get(objects, 'StatefulSet/shoal-peer').spec.replicas, becomes: 5 },
  'peer.fileReplicas': variable(peer, 'SHOAL_REPLICAS', 3),
  'peer.quota': variable(peer, 'SHOAL_QUOTA_BYTES', '5Gi'),
  'peer.reserve': variable(peer, 'SHOAL_RESERVE_BYTES', '1Gi'),
  'peer.drainSeconds': {
    value: 100,
    see: (objects) => [env(peer(objects), 'SHOAL_DRAIN_SECONDS'), ...seconds(peer(objects))],
    becomes: ['100', 3, 418],
  },
  'peer.handOverSeconds': {
    value: 0,
    see: (objects) => [
      env(peer(objects), 'SHOAL_HAND_OVER'),
      env(peer(objects), 'SHOAL_HAND_OVER_SECONDS'),
      ...seconds(peer(objects)),
    ],
    becomes: ['never', '0', 3, 43],
  },
  'peer.waitSeconds': variable(peer, 'SHOAL_WAIT_SECONDS', 5),
  'peer.preStopSeconds': { value: 10, see: (objects) => seconds(peer(objects)), becomes: [10, 350] },
  'peer.startupSeconds': {
    value: 60,
    see: (objects) => {
      const { periodSeconds, failureThreshold } = container(peer(objects)).startupProbe;
      return periodSeconds * failureThreshold;
    },
    becomes: 60,
  },
  'peer.requireLogin': variable(peer, 'SHOAL_REQUIRE_LOGIN', true),
  'peer.loopbackAccess': variable(peer, 'SHOAL_LOOPBACK_ACCESS', false),
  'peer.persistence.enabled': {
    value: false,
    see: (objects) => [
      claim('shoal-peer')(objects),
      peer(objects).spec.volumes.find(({ name }: Yaml) => name === 'data'),
      // Nothing else would keep the peer from filling the node's disk.
      env(peer(objects), 'SHOAL_QUOTA_BYTES'),
      env(peer(objects), 'SHOAL_HAND_OVER'),
    ],
    becomes: [undefined, { name: 'data', emptyDir: {} }, '10Gi', 'always'],
  },
  'peer.persistence.size': {
    value: '1Ti',
    see: (objects) => claim('shoal-peer')(objects).resources.requests.storage,
    becomes: '1Ti',
  },
  'peer.persistence.storageClass': {
    value: 'fast',
    see: (objects) => claim('shoal-peer')(objects).storageClassName,
    becomes: 'fast',
  },
  'peer.persistence.whenDeleted': {
    value: 'Delete',
    see: (objects) => retention(objects).whenDeleted,
    becomes: 'Delete',
  },
  'peer.persistence.whenScaled': {
    value: 'Delete',
    see: (objects) => retention(objects).whenScaled,
    becomes: 'Delete',
  },
  'peer.http.internalTrafficPolicy': {
    value: 'Local',
    see: (objects) => get(objects, 'Service/shoal-peer-http').spec.internalTrafficPolicy,
    becomes: 'Local',
  },
  'peer.http.type': {
    value: 'LoadBalancer',
    see: (objects) => get(objects, 'Service/shoal-peer-http').spec.type,
    becomes: 'LoadBalancer',
  },
  'peer.http.annotations': {
    value: { a: 'b' },
    see: (objects) => get(objects, 'Service/shoal-peer-http').metadata.annotations,
    becomes: { a: 'b' },
  },
  ...prefixed('peer', common('peer', peer)),

  'mongodb.enabled': {
    value: false,
    see: (objects) => [objects.has('StatefulSet/shoal-mongodb'), env(index(objects), 'SHOAL_STORE')],
    becomes: [false, 'embedded:/data/catalog.db'],
  },
  'mongodb.image.registry': {
    value: 'r.example',
    see: (objects) => container(mongodb(objects)).image,
    becomes: 'r.example/mongo:8.0',
  },
  'mongodb.image.repository': {
    value: 'percona',
    see: (objects) => container(mongodb(objects)).image,
    becomes: 'percona:8.0',
  },
  'mongodb.image.tag': { value: '8.2', see: (objects) => container(mongodb(objects)).image, becomes: 'mongo:8.2' },
  'mongodb.image.digest': {
    value: digest,
    see: (objects) => container(mongodb(objects)).image,
    becomes: `mongo@${digest}`,
  },
  'mongodb.image.pullPolicy': {
    value: 'Always',
    see: (objects) => container(mongodb(objects)).imagePullPolicy,
    becomes: 'Always',
  },
  'mongodb.existingSecret': {
    value: 'mine',
    see: (objects) => [
      objects.has('Secret/shoal-mongodb'),
      secretOf(mongodb(objects), 'credentials'),
      env(index(objects), 'SHOAL_STORE').secretKeyRef,
    ],
    becomes: [false, 'mine', { name: 'mine', key: 'uri' }],
  },
  'mongodb.args': { value: ['--quiet'], see: (objects) => container(mongodb(objects)).args, becomes: ['--quiet'] },
  'mongodb.persistence.enabled': {
    value: false,
    see: (objects) => [
      claim('shoal-mongodb')(objects),
      mongodb(objects).spec.volumes.find(({ name }: Yaml) => name === 'data'),
      get(objects, 'Secret/shoal-mongodb').metadata.annotations,
    ],
    becomes: [undefined, { name: 'data', emptyDir: {} }, undefined],
  },
  'mongodb.persistence.size': {
    value: '1Gi',
    see: (objects) => claim('shoal-mongodb')(objects).resources.requests.storage,
    becomes: '1Gi',
  },
  'mongodb.persistence.storageClass': {
    value: 'fast',
    see: (objects) => claim('shoal-mongodb')(objects).storageClassName,
    becomes: 'fast',
  },
  'mongodb.persistence.whenDeleted': {
    value: 'Delete',
    see: (objects) => [
      get(objects, 'StatefulSet/shoal-mongodb').spec.persistentVolumeClaimRetentionPolicy.whenDeleted,
      get(objects, 'Secret/shoal-mongodb').metadata.annotations,
    ],
    becomes: ['Delete', undefined],
  },
  'mongodb.podSecurityContext': {
    value: { runAsUser: 7 },
    see: (objects) => mongodb(objects).spec.securityContext.runAsUser,
    becomes: 7,
  },
  'mongodb.external.uri': {
    value: 'mongodb://u:p@db/shoal',
    with: EMBEDDED,
    see: (objects) => [objects.get('Secret/shoal-store')?.stringData, env(index(objects), 'SHOAL_STORE')],
    becomes: [{ uri: 'mongodb://u:p@db/shoal' }, { secretKeyRef: { name: 'shoal-store', key: 'uri' } }],
  },
  'mongodb.external.existingSecret': {
    value: 'mine',
    with: EMBEDDED,
    see: (objects) => [objects.has('Secret/shoal-store'), env(index(objects), 'SHOAL_STORE')],
    becomes: [false, { secretKeyRef: { name: 'mine', key: 'uri' } }],
  },
  'mongodb.external.existingSecretKey': {
    value: 'address',
    with: { mongodb: { enabled: false, external: { existingSecret: 'mine' } } },
    see: (objects) => env(index(objects), 'SHOAL_STORE'),
    becomes: { secretKeyRef: { name: 'mine', key: 'address' } },
  },
  ...prefixed('mongodb', common('mongodb', mongodb)),

  'networkPolicy.enabled': {
    value: false,
    see: (objects) => [...objects.keys()].filter((key) => key.startsWith('NetworkPolicy/')),
    becomes: [],
  },
  'networkPolicy.clients': {
    value: [someone],
    see: (objects) => [
      sources('shoal-peer', 'http')(objects),
      sources('shoal-index', 'http')(objects),
      sources('shoal-peer', 'grpc')(objects),
    ],
    becomes: [
      expect.arrayContaining([someone]),
      expect.arrayContaining([someone]),
      expect.not.arrayContaining([someone]),
    ],
  },
  'networkPolicy.grpcClients': {
    value: [someone],
    see: (objects) => [sources('shoal-peer', 'grpc')(objects), sources('shoal-peer', 'http')(objects)],
    becomes: [expect.arrayContaining([someone]), expect.not.arrayContaining([someone])],
  },
  'networkPolicy.monitoring': {
    value: [],
    see: (objects) =>
      [sources('shoal-peer', 'http')(objects), sources('shoal-index', 'http')(objects)].map(({ length }) => length),
    becomes: [1, 2],
  },

  'metrics.annotations': {
    value: false,
    see: (objects) => [index, peer].map((pod) => pod(objects).metadata.annotations ?? {}),
    becomes: [{}, {}],
  },
  ...monitor('serviceMonitor', 'ServiceMonitor/shoal-index', ({ endpoints }) => endpoints[0].interval),
  ...monitor('podMonitor', 'PodMonitor/shoal-peer', ({ podMetricsEndpoints }) => podMetricsEndpoints[0].interval),
  'metrics.rules.enabled': { value: true, see: (objects) => objects.has('PrometheusRule/shoal'), becomes: true },
  'metrics.rules.labels': {
    value: { prometheus: 'p' },
    with: { metrics: { rules: { enabled: true } } },
    see: (objects) => metadata('PrometheusRule/shoal')(objects)?.labels.prometheus,
    becomes: 'p',
  },
  'metrics.rules.alertLabels': {
    value: { severity: 'page', team: 't' },
    with: { metrics: { rules: { enabled: true } } },
    see: (objects) => objects.get('PrometheusRule/shoal')?.spec.groups[0].rules[0].labels,
    becomes: { severity: 'page', team: 't' },
  },
  'metrics.dashboards.enabled': {
    value: true,
    see: (objects) => objects.has('ConfigMap/shoal-dashboard-overview'),
    becomes: true,
  },
  'metrics.dashboards.labels': {
    value: { other: 'l' },
    with: { metrics: { dashboards: { enabled: true } } },
    see: (objects) => metadata('ConfigMap/shoal-dashboard-overview')(objects)?.labels.other,
    becomes: 'l',
  },
  'metrics.dashboards.annotations': {
    value: { grafana_folder: 'f' },
    with: { metrics: { dashboards: { enabled: true } } },
    see: (objects) => metadata('ConfigMap/shoal-dashboard-overview')(objects)?.annotations,
    becomes: { grafana_folder: 'f' },
  },
};

function prefixed(name: string, entries: Record<string, Case>): Record<string, Case> {
  return Object.fromEntries(Object.entries(entries).map(([path, each]) => [`${name}.${path}`, each]));
}

function monitor(name: string, key: string, intervalOf: (spec: Yaml) => Yaml): Record<string, Case> {
  const enabled = { metrics: { [name]: { enabled: true } } };
  return prefixed(`metrics.${name}`, {
    enabled: { value: true, see: (objects) => objects.has(key), becomes: true },
    labels: {
      value: { release: 'p' },
      with: enabled,
      see: (objects) => metadata(key)(objects)?.labels.release,
      becomes: 'p',
    },
    interval: {
      value: '15s',
      with: enabled,
      see: (objects) => objects.has(key) && intervalOf(get(objects, key).spec),
      becomes: '15s',
    },
  });
}

const known = new Map<string, Promise<Objects>>();

const paths = valuesIn(readFileSync(join(chart, 'values.yaml'), 'utf8')).map(({ path }) => path);

test('every value has a case here', () => {
  expect(Object.keys(cases).sort()).toEqual([...paths].sort());
});

test.each(Object.entries(cases))('%s', async (path, { value, with: others = {}, see, becomes }) => {
  const before = await rendered(others);
  const after = await render({ values: merged(others, nested(path.split('.'), value)) });
  expect(see(before)).not.toEqual(becomes);
  expect(see(after)).toEqual(becomes);
});

/** Most cases begin with the same values. */
function rendered(values: object): Promise<Objects> {
  const key = JSON.stringify(values);
  const objects = known.get(key) ?? render({ values });
  known.set(key, objects);
  return objects;
}

function nested([first = '', ...rest]: readonly string[], value: unknown): Yaml {
  return { [first]: rest.length === 0 ? value : nested(rest, value) };
}

function merged(a: Yaml, b: Yaml): Yaml {
  const out = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const isBoth = typeof out[key] === 'object' && typeof value === 'object' && !Array.isArray(value);
    out[key] = isBoth ? merged(out[key], value) : value;
  }
  return out;
}
