import { parseQuery } from './testing/promql.js';
import { get, pods, render, type Yaml } from './testing/render.js';

test('monitors find the pods and give their series the labels that dashboards and alerts ask for', async () => {
  const objects = await render({
    values: { metrics: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } } },
  });
  const monitors = [
    ['ServiceMonitor/shoal-index', get(objects, 'Service/shoal-index').metadata.labels],
    ['PodMonitor/shoal-peer', pods(objects).get('shoal-peer').metadata.labels],
  ] as const;
  for (const [key, labels] of monitors) {
    const { spec } = get(objects, key);
    expect(labels).toMatchObject(spec.selector.matchLabels);
    expect(spec.podTargetLabels).toEqual(
      ['name', 'instance', 'component'].map((label) => `app.kubernetes.io/${label}`),
    );
    expect((spec.endpoints ?? spec.podMetricsEndpoints)[0]).toEqual({ port: 'http', path: '/metrics' });
  }
});

test('alerts of a release are about that release', async () => {
  const objects = await render({
    release: 'files',
    values: { nameOverride: 'n', metrics: { rules: { enabled: true } } },
  });
  const rules = get(objects, 'PrometheusRule/files-n').spec.groups.flatMap(({ rules: some }: Yaml) => some);
  expect(rules.length).toBeGreaterThan(10);
  for (const { expr } of rules) {
    for (const { matchers } of parseQuery(expr).selectors) {
      expect(matchers).toEqual(
        expect.arrayContaining(
          [
            ['app_kubernetes_io_name', 'n'],
            ['app_kubernetes_io_instance', 'files'],
            ['namespace', 'apps'],
          ].map(([label, value]) => ({ label, operator: '=', value })),
        ),
      );
    }
  }
});

test('dashboards come whole', async () => {
  const objects = await render({ values: { metrics: { dashboards: { enabled: true } } } });
  const { metadata, data } = get(objects, 'ConfigMap/shoal-dashboard-overview');
  expect(metadata.labels['grafana_dashboard']).toBe('1');
  expect(JSON.parse(data['overview.json']).title).toBe('Shoal / Overview');
});
