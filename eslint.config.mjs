// Biome formats and lints. ESLint adds what needs types (promises, exhaustive switches) and the import boundaries.

import { defineConfig } from 'eslint/config';
import { parser, plugin } from 'typescript-eslint';
import { boundaries } from './scripts/boundaries.mjs';

const ENVIRONMENT_REASON =
  'only a config.ts reads the environment; a main or cli hands it over. What needs a setting is given it.';

export default defineConfig(
  { ignores: ['dist/', 'proto/', 'data/', 'coverage/'] },
  {
    files: ['**/*.ts'],
    plugins: { '@typescript-eslint': plugin, shoal: { rules: { boundaries } } },
    languageOptions: { parser, parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'shoal/boundaries': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    ignores: ['**/{config,main,cli}.ts', '**/*.test.ts', '**/testing/**'],
    rules: {
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: ENVIRONMENT_REASON }],
      'no-restricted-imports': [
        'error',
        {
          paths: ['process', 'node:process'].map((name) => ({
            name,
            importNames: ['env'],
            message: ENVIRONMENT_REASON,
          })),
        },
      ],
    },
  },
);
