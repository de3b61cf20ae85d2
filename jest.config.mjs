/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // k8s/e2e needs a cluster, charts/*.chart.test.ts need Helm: `npm run e2e` and `npm run chart:test` run them.
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '\\.(e2e|chart)\\.test\\.ts$'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/data/'],
  maxWorkers: 2,
  // Real servers and processes, two at a time on a machine that may be busy. Only a test that hangs takes so long.
  testTimeout: 20_000,
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript' },
          transform: { verbatimModuleSyntax: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Sources name the files that tsc writes (`./x.js`). The `.js` comes first, so that packages resolve as they always do.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.js', '$1.ts'] },
};
