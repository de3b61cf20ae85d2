import { loadYaml } from '@kubernetes/client-node';
import { parseQuery } from '../../charts/testing/promql.js';
import { eventually } from './testing/cluster.js';
import { Prometheus } from './testing/prometheus.js';
import { run } from './testing/shell.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
/** Long enough for a few scrapes. */
const SOON_MS = 60_000;

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

interface Dashboard {
  readonly title: string;
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}
/** The shared release has no TLS; the story of TLS sees that it is there with it. */
const ONLY_WITH_TLS = 'shoal_peer_tls_certificate_expiration_timestamp_seconds';

let prometheus: Prometheus;
let rules: Rules;

beforeAll(async () => {
  await ensureShared();
  rules = (await fromChart<{ spec: Rules }>('rules', 'prometheus-rule')).spec;
  prometheus = await Prometheus.start(shared, { groups: rules.groups });
});

afterAll(() => prometheus.stop());

story('a Prometheus that goes by annotations reads every pod of Shoal', NAMESPACES, async () => {
  await eventually('it has read the index and three peers', SOON_MS, async () => {
    const up = await prometheus.query('up{app_kubernetes_io_name="shoal"} == 1');
    const components = up.map(({ metric }) => metric['app_kubernetes_io_component'] ?? '').sort();
    return components.join() === 'index,peer,peer,peer';
  });
});

story('every query of every dashboard has something to show after a transfer', NAMESPACES, async () => {
  const { data } = await fromChart<{ data: Record<string, string> }>('dashboards', 'dashboards');
  const dashboards = Object.values(data).map((text) => JSON.parse(text) as Dashboard);
  const panels = dashboards.flatMap(({ panels }) => panels);
  const queries = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr: inPlace(expr) })),
  );
  expect(queries.length).toBeGreaterThan(10);
  const { sha256 } = await shared.putRandom(0, 'measured.bin', { mib: 20, replicas: 1 });
  expect(await shared.digestAfterGet(2, 'measured.bin')).toBe(sha256);

  let empty = queries;
  await eventually('every query gives data', SOON_MS, async () => {
    const answers = await Promise.all(empty.map(async (each) => ({ each, series: await prometheus.query(each.expr) })));
    empty = answers.filter(({ series }) => series.length === 0).map(({ each }) => each);
    return empty.length === 0;
  }).catch(() => expect(empty).toEqual([]));
});

story('Prometheus takes every alert, and each looks at something that is there', NAMESPACES, async () => {
  const alerts = rules.groups.flatMap((group) => group.rules);
  expect(alerts.length).toBeGreaterThan(5);
  const blind: string[] = [];
  for (const { alert, expr } of alerts) {
    for (const { metric, matchers } of parseQuery(expr).selectors) {
      if (metric === ONLY_WITH_TLS) continue;
      const selector = `${metric}{${matchers.map((each) => `${each.label}${each.operator}"${each.value}"`).join()}}`;
      if ((await prometheus.query(selector)).length === 0) blind.push(`${alert}: ${selector}`);
    }
  }
  expect(blind).toEqual([]);
  const health = await eventually('all rules have been evaluated', SOON_MS, async () => {
    const found = await prometheus.rules();
    return found.every((rule) => rule.health !== 'unknown') && found;
  });
  const troubles = health.filter((rule) => rule.health !== 'ok' || rule.lastError);
  expect(troubles).toEqual([]);
  expect(health.map(({ name }) => name).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
});

noContainerRestarted(NAMESPACES);

/** An object that the chart makes for the shared release when `metrics.WHAT.enabled` is set. */
async function fromChart<T>(what: string, template: string): Promise<T> {
  const release = ['template', shared.name, 'charts/shoal', '--namespace', shared.namespace];
  const only = ['--set', `metrics.${what}.enabled=true`, '--show-only', `templates/metrics/${template}.yaml`];
  return loadYaml(await run('helm', [...release, ...only])) as T;
}

/** A query as Grafana sends it. */
function inPlace(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '30s')
    .replaceAll('$__range', '5m')
    .replaceAll('$namespace', shared.namespace)
    .replaceAll('$release', shared.name);
}
