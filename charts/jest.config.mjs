import base from '../jest.config.mjs';

/** @type {import('jest').Config} */
export default {
  ...base,
  rootDir: '..',
  testMatch: ['**/charts/**/*.chart.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  // Each test runs helm several times, on a machine that may be busy.
  testTimeout: 60_000,
};
