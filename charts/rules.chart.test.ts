import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../common/version.js';

/*
 * Prometheus' own tool reads the alerts and tries them on series. `npm run chart:test` has found it, or an image that has
 * it, and tells by PROMTOOL how to call it.
 */

const [command = 'promtool', ...prefix] = JSON.parse(process.env['PROMTOOL'] ?? '["promtool"]') as string[];
const charts = join(PACKAGE_ROOT, 'charts');
const promtool = (...args: string[]) => promisify(execFile)(command, [...prefix, ...args], { cwd: charts });

test('promtool takes the alerts', async () => {
  const { stdout } = await promtool('check', 'rules', 'shoal/rules/alerts.yaml');
  expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
});

test('alerts fire when they should, and not when they should not', async () => {
  const { stdout } = await promtool('test', 'rules', 'alerts.promtool.yaml');
  expect(stdout).toContain('SUCCESS');
  expect(stdout).not.toContain('WARNING');
});
