import { readdirSync } from 'node:fs';
import base from '../../jest.config.mjs';
import { EVERY_CHANGE, ON_REQUEST } from './stories.mjs';

const SUFFIX = '.e2e.test.ts';
const all = [...EVERY_CHANGE, ...ON_REQUEST];
const unlisted = readdirSync(import.meta.dirname).filter(
  (file) => file.endsWith(SUFFIX) && !all.includes(file.slice(0, -SUFFIX.length)),
);
if (unlisted.length > 0) throw new Error(`nobody would tell these, as stories.mjs does not list them: ${unlisted}`);
const stories = process.env.SHOAL_E2E_ALL === 'true' ? all : EVERY_CHANGE;

/** @type {import('jest').Config} `npm run e2e` sets what the stories need. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: stories.map((story) => `<rootDir>/k8s/e2e/${story}${SUFFIX}`),
  testPathIgnorePatterns: ['/node_modules/'],
  // They share releases, and the machine's time.
  maxWorkers: 1,
  testSequencer: '<rootDir>/k8s/e2e/sequencer.mjs',
  // Only a story that hangs takes so long.
  testTimeout: 300_000,
  verbose: true,
};
