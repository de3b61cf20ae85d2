import { ESLint } from 'eslint';
import { objection } from './boundaries.mjs';
import { root } from './setup.mjs';

describe('a module may import', () => {
  test.each([
    ['common/env.ts', './errors.js'],
    ['index-server/app.ts', '../common/errors.js'],
    ['index-server/app.ts', 'express'],
    ['peer/fetch.ts', '../index-server/client.js'],
    ['peer/swarm/remote-peer.ts', '../../index-server/api/files.js'],
    ['peer/swarm/remote-peer.ts', '../../proto/gen/peer.js'],
    ['peer/http-door.ts', 'express'],
    ['peer/http/app.ts', 'express'],
    ['peer/cli.ts', './main.js'],
    ['peer/cli/program.ts', '../../index-server/main.js'],
    ['peer/fetch.test.ts', '../index-server/app.js'],
    ['peer/testing/swarm.ts', '../../index-server/app.js'],
    ['load-tests/simulator/run.ts', '../../peer/swarm/chunk-picker.js'],
    ['load-tests/scenarios/crowd.ts', '../../index-server/client.js'],
  ])('%s: %s', (importer, specifier) => {
    expect(objection(importer, specifier)).toBeUndefined();
  });
});

describe('a module may not import', () => {
  test.each([
    ['common/env.ts', '../peer/fetch.js', /common is what both programs need/],
    ['common/env.ts', '../index-server/api/files.js', /common is what both programs need/],
    ['index-server/app.ts', '../peer/manifest.js', /works without any peer/],
    ['peer/fetch.ts', '../index-server/catalog.js', /goes over the network/],
    ['peer/swarm/neighbour.ts', '../../index-server/app.js', /goes over the network/],
    ['peer/swarm/neighbour.ts', '../../load-tests/report.js', /goes over the network/],
    ['peer/fetch.ts', 'express', /HTTP is an edge/],
    ['peer/fetch.ts', './testing/slow-peer.js', /not part of the program/],
    ['load-tests/crowd.ts', '../peer/fetch.js', /from outside/],
    ['load-tests/crowd.ts', '../index-server/app.js', /from outside/],
    ['index-server/app.ts', './main.js', /runs when it is loaded/],
    ['peer/fetch.test.ts', './main.js', /runs when it is loaded/],
    ['load-tests/crowd.ts', '../peer/cli.js', /runs when it is loaded/],
  ])('%s: %s', (importer, specifier, reason) => {
    expect(objection(importer, specifier)).toMatch(reason);
  });
});

describe('the linter', () => {
  // The text is ours, the path is that of any real file of the program: rules with types need one of the project.
  const eslint = new ESLint({ cwd: root });
  const complaints = async (text: string): Promise<string[]> => {
    const [result] = await eslint.lintText(text, { filePath: 'common/errors.ts' });
    return (result?.messages ?? []).map((message) => `${message.ruleId}: ${message.message}`);
  };

  test.each([
    ["import '../peer/fetch.js';", "shoal/boundaries: '../peer/fetch.js': common is"],
    ["export * from '../peer/fetch.js';", "shoal/boundaries: '../peer/fetch.js': common is"],
    ["export const load = () => import('../peer/fetch.js');", "shoal/boundaries: '../peer/fetch.js': common is"],
    ["import type { Fetch } from '../peer/fetch.js'; export type F = Fetch;", 'shoal/boundaries:'],
    ['export const home = process.env.HOME;', 'no-restricted-properties:'],
    ["import { env } from 'node:process'; export const home = env.HOME;", 'no-restricted-imports:'],
    ['const f = async () => 1; f();', '@typescript-eslint/no-floating-promises:'],
    ['[1].forEach(async () => {});', '@typescript-eslint/no-misused-promises:'],
    ['await 1;', '@typescript-eslint/await-thenable:'],
    [
      "export const f = (x: 'a' | 'b') => { switch (x) { case 'a': return 1; } };",
      '@typescript-eslint/switch-exhaustiveness-check:',
    ],
  ])('refuses %s', async (text, complaint) => {
    expect(await complaints(text)).toEqual([expect.stringContaining(complaint)]);
  });

  test('accepts what keeps to the rules', async () => {
    expect(await complaints("import { join } from 'node:path';\nexport const path = join('a', 'b');")).toEqual([]);
  });
});
