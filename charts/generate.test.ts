import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../common/version.js';
import { generated } from './generate.mjs';
import { valuesIn, withTable } from './values-table.mjs';

test('what is made from something else is current; if it is not: npm run chart:generate', async () => {
  for (const [path, text] of Object.entries(await generated())) {
    expect([path, readFileSync(join(PACKAGE_ROOT, 'charts/shoal', path), 'utf8')]).toEqual([path, text]);
  }
});

describe('the table of values', () => {
  const values = `# About the file.

# What a is,
# at length.
a: ''
b:
  # The first.
  c: 1
  # A map that is one value.
  d:
    e: true
`;

  test('has a line for each value, a map with a comment being one', () => {
    expect(valuesIn(values)).toEqual([
      { path: 'a', fallback: '', description: 'What a is, at length.' },
      { path: 'b.c', fallback: 1, description: 'The first.' },
      { path: 'b.d', fallback: { e: true }, description: 'A map that is one value.' },
    ]);
  });

  test('cannot be made while a value has no comment', () => {
    expect(() => valuesIn(`${values}f: {}\n`)).toThrow('f has no comment');
  });

  test('takes the place of the old one', () => {
    const readme = withTable(
      'before\n<!-- The table is made from values.yaml: npm run chart:generate -->\nold\n<!-- end of the table -->\nafter\n',
      values,
    );
    expect(readme).toContain('| `b.c` | `1` | The first. |');
    expect(readme).toMatch(/^before\n.*after\n$/s);
    expect(readme).not.toContain('old');
    expect(withTable(readme, values)).toBe(readme);
    expect(() => withTable('no place', values)).toThrow('no place for the table');
  });
});
