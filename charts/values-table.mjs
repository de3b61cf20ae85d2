// From the comments in values.yaml to the table in the chart's README.

import { isMap, parseDocument } from 'yaml';

const LONGEST_DEFAULT = 60;
const BEGIN = '<!-- The table is made from values.yaml: npm run chart:generate -->';
const END = '<!-- end of the table -->';

/**
 * Every value that can be set: its path, what it is by default and what its comment says. A map with a comment of its own
 * is one value, as is anything that is no map. Throws for a value that nobody has described.
 *
 * @param {string} text of values.yaml
 * @returns {{ path: string, fallback: unknown, description: string }[]}
 */
export function valuesIn(text) {
  const document = parseDocument(text);
  if (document.errors.length > 0) throw document.errors[0];
  return valuesOf(document.contents, []);
}

function valuesOf(map, path) {
  return map.items.flatMap((pair, n) => {
    const here = [...path, pair.key.value];
    // Of the first in a map, the parser gives the comment to the map.
    const comment = pair.key.commentBefore ?? (n === 0 && path.length > 0 ? map.commentBefore : undefined);
    const description = lastParagraph(comment ?? '');
    if (description) return [{ path: here.join('.'), fallback: pair.value.toJSON(), description }];
    if (isMap(pair.value) && pair.value.items.length > 0) return valuesOf(pair.value, here);
    throw new Error(`values.yaml: ${here.join('.')} has no comment`);
  });
}

function lastParagraph(comment) {
  const lines = comment.split('\n').map((line) => line.trim());
  return lines.slice(lines.lastIndexOf('') + 1).join(' ');
}

/** The README with its table made anew; @type {(readme: string, values: string) => string} */
export function withTable(readme, values) {
  const [start, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (start === -1 || end < start) throw new Error(`the README has no place for the table: ${BEGIN} ... ${END}`);
  const rows = valuesIn(values).map(
    ({ path, fallback, description }) => `| \`${path}\` | ${shown(fallback)} | ${description.replaceAll('|', '\\|')} |`,
  );
  const table = ['| value | default | |', '| --- | --- | --- |', ...rows].join('\n');
  return `${readme.slice(0, start)}${BEGIN}\n\n${table}\n\n${readme.slice(end)}`;
}

function shown(value) {
  if (value === '') return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST_DEFAULT ? 'see values.yaml' : `\`${text}\``;
}
