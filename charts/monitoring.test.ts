import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../common/version.js';
import { IndexMetrics } from '../index-server/metrics.js';
import { PeerMetrics } from '../peer/metrics.js';
import { parseQuery, type Selector } from './testing/promql.js';

/* Every name in a dashboard or an alert is one that the programs have: nothing shows or watches what does not exist. */

const chart = join(PACKAGE_ROOT, 'charts/shoal');
const read = (path: string) => readFileSync(join(chart, path), 'utf8');

interface Dashboard {
  readonly title: string;
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

const dashboards = readdirSync(join(chart, 'dashboards')).map(
  (name) => JSON.parse(read(`dashboards/${name}`)) as Dashboard,
);
const alerts = (parse(read('rules/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);

/** Labels that Prometheus adds, by the chart's annotations or monitors. */
const TARGET_LABELS = [
  'namespace',
  'pod',
  'app_kubernetes_io_name',
  'app_kubernetes_io_instance',
  'app_kubernetes_io_component',
];

/** Labels of each metric that there is, and their values where they are known before anything happens. */
type Metrics = Map<string, Map<string, Set<string>>>;

async function metricsOf(registry: Registry, metrics: Metrics): Promise<void> {
  for (const { name, type, values } of await registry.getMetricsAsJSON()) {
    const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: readonly string[] };
    const labels = new Map(labelNames.map((label) => [label, new Set<string>()]));
    for (const series of values) {
      for (const [label, value] of Object.entries(series.labels)) labels.get(label)?.add(String(value));
    }
    if (String(type) !== 'histogram') metrics.set(name, labels);
    else {
      for (const suffix of ['_sum', '_count']) metrics.set(name + suffix, labels);
      metrics.set(`${name}_bucket`, new Map([...labels, ['le', new Set()]]));
    }
  }
}

const metrics: Metrics = new Map([
  ['up', new Map()],
  ['ALERTS', new Map(['alertname', 'alertstate', 'severity'].map((label) => [label, new Set()]))],
]);
beforeAll(async () => {
  const peer = new PeerMetrics();
  await metricsOf(new IndexMetrics().registry, metrics);
  await metricsOf(peer.registry, metrics);
  peer.close();
});

function check(query: string): readonly Selector[] {
  const { selectors, grouping } = parseQuery(query.replaceAll(/\$__(rate_interval|range)/g, '5m'));
  expect(selectors.length).toBeGreaterThan(0);
  const known = new Set(TARGET_LABELS);
  for (const { metric, matchers } of selectors) {
    const labels = metrics.get(metric);
    if (labels === undefined) throw new Error(`there is no metric ${metric}`);
    for (const label of labels.keys()) known.add(label);
    for (const { label, operator, value } of matchers) {
      if (TARGET_LABELS.includes(label)) continue;
      const values = labels.get(label);
      if (values === undefined) throw new Error(`${metric} has no label ${label}`);
      const wanted = operator.endsWith('~') ? value.split('|') : [value];
      const strange = values.size === 0 ? [] : wanted.filter((each) => !values.has(each));
      if (strange.length > 0) throw new Error(`${label} of ${metric} is never ${strange.join(' or ')}`);
    }
  }
  expect(grouping.filter((label) => !known.has(label))).toEqual([]);
  return selectors;
}

test.each(
  dashboards.flatMap(({ title, panels }) =>
    panels.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => [`${title}: ${panel.title}`, expr] as const)),
  ),
)('%s asks for what there is', (_title, expr) => {
  for (const { metric, matchers } of check(expr)) {
    // What a panel shows is about the release that was chosen, and no other.
    const narrowed = matchers.filter(({ value }) => value === '$namespace' || value === '$release');
    expect([metric, narrowed.length]).toEqual([metric, metric === 'ALERTS' ? 1 : 2]);
  }
});

test.each(alerts.map((rule) => [rule.alert, rule] as const))('%s watches what there is', (_name, rule) => {
  for (const { metric, matchers } of check(rule.expr)) {
    // By this the chart narrows each selector to its release.
    const own = matchers.some(
      ({ label, operator, value }) => `${label}${operator}${value}` === 'app_kubernetes_io_name=shoal',
    );
    expect([metric, own]).toEqual([metric, true]);
  }
  expect(rule.alert).toMatch(/^Shoal[A-Z]/);
  expect(['critical', 'warning']).toContain(rule.labels['severity']);
  expect(Object.keys(rule.annotations).sort()).toEqual(['description', 'summary']);
});

test('every alert is in the document and in the test of the rules', () => {
  const texts = ['docs/kubernetes.md', 'charts/alerts.promtool.yaml'].map((path) =>
    readFileSync(join(PACKAGE_ROOT, path), 'utf8'),
  );
  const missing = alerts.map(({ alert }) => alert).filter((alert) => !texts.every((text) => text.includes(alert)));
  expect(missing).toEqual([]);
});

test('a query that names nothing that exists would be found', () => {
  expect(() => check('sum(shoal_peer_no_such_metric)')).toThrow('no metric shoal_peer_no_such_metric');
  expect(() => check('shoal_index_peers{stat="live"}')).toThrow('no label stat');
  expect(() => check('shoal_index_peers{state="dead"}')).toThrow('state of shoal_index_peers is never dead');
  expect(() => check('sum(rate(shoal_index_peers[5m])')).toThrow('not PromQL');
  expect(() => check('shoal_peer_fetch_seconds')).toThrow('no metric');
});
