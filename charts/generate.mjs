// `npm run chart:generate`: makes what is made from something else: the dashboards, and the table in the README.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const chart = fileURLToPath(new URL('shoal', import.meta.url));

/**
 * What is made, by path in the chart.
 *
 * @returns {Promise<Record<string, string>>}
 */
export async function generated() {
  // Loaded when they are wanted: the packages may not be installed before.
  const { overview } = await import('./dashboards/overview.mjs');
  const { withTable } = await import('./values-table.mjs');
  const read = (path) => readFileSync(join(chart, path), 'utf8');
  return {
    'dashboards/overview.json': `${JSON.stringify(overview(), null, 2)}\n`,
    'README.md': withTable(read('README.md'), read('values.yaml')),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { setUp } = await import('../scripts/setup.mjs');
  setUp({ isBuildWanted: false });
  for (const [path, text] of Object.entries(await generated())) writeFileSync(join(chart, path), text);
}
