// From a plain description of a dashboard to what Grafana reads. All dashboards are about one release, chosen by
// variables, and look alike.

import {
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** Matchers of the release that the dashboard shows. */
export const THIS_RELEASE =
  'app_kubernetes_io_name="shoal",namespace="$namespace",app_kubernetes_io_instance="$release"';

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
/** Grafana's grid is 24 wide. */
const SIZES = { stat: { width: 3, height: 4 }, timeseries: { width: 8, height: 8 } };

/**
 * @typedef {object} PanelSpec
 * @property {'stat' | 'timeseries'} kind
 * @property {string} title
 * @property {string} description
 * @property {Record<string, string>} queries expressions by legend; `{{label}}` stands for the value of a label
 * @property {string} [unit] as Grafana calls it
 * @property {boolean} [isStacked]
 * @property {[number | null, string][]} [colors] from which value on which colour
 *
 * @param {{ title: string, uid: string, description: string, rows: { title: string, panels: PanelSpec[] }[] }} spec
 */
export function dashboard({ title, uid, description, rows }) {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags(['shoal'])
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('namespace', 'label_values(shoal_index_store_up, namespace)'))
    .withVariable(
      choice('release', 'label_values(shoal_index_store_up{namespace="$namespace"}, app_kubernetes_io_instance)'),
    );
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const spec of row.panels) builder.withPanel(panel(spec));
  }
  return builder.build();
}

function choice(name, query) {
  return new QueryVariableBuilder(name)
    .label(name[0].toUpperCase() + name.slice(1))
    .datasource(DATASOURCE)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc);
}

function panel(spec) {
  const { width, height } = SIZES[spec.kind];
  const builder = BUILDERS[spec.kind](spec)
    .title(spec.title)
    .description(spec.description)
    .datasource(DATASOURCE)
    .span(width)
    .height(height);
  if (spec.unit) builder.unit(spec.unit);
  if (spec.colors) builder.thresholds(thresholds(spec.colors));
  for (const [n, [legend, expr]] of Object.entries(spec.queries).entries()) {
    const query = new DataqueryBuilder().refId('ABCDEFGH'[n]).expr(expr).legendFormat(legend);
    builder.withTarget(spec.kind === 'timeseries' ? query.range() : query.instant());
  }
  return builder;
}

const BUILDERS = {
  stat: () => new StatBuilder().reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull'])),
  timeseries: ({ isStacked }) => {
    const builder = new TimeseriesBuilder()
      .min(0)
      .fillOpacity(isStacked ? 30 : 8)
      .legend(new VizLegendOptionsBuilder().showLegend(true).placement('bottom'));
    return isStacked ? builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A')) : builder;
  },
};

function thresholds(colors) {
  const steps = colors.map(([value, color]) => ({ value, color }));
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}
