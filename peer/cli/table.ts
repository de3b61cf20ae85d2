import { displayWidth, printable } from './text.js';

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers stand at the right; everything else at the left. */
  readonly align?: 'left' | 'right';
}

const GAP = '  ';
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';

/** A table with aligned columns, its head in bold when `hasColor`; ends with a line break. Cells are made printable. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { readonly hasColor: boolean },
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((row) => displayWidth(row[index] ?? ''))),
  );
  const line = (row: readonly string[]) =>
    columns
      .map((column, index) => padded(row[index] ?? '', widths[index] ?? 0, column.align ?? 'left'))
      .join(GAP)
      .trimEnd();
  const head = line(columns.map((column) => column.title));
  return [options.hasColor ? `${BOLD}${head}${RESET}` : head, ...cells.map(line), ''].join('\n');
}

/** Facts under each other, `name:  value`, the values aligned; ends with a line break. Values are made printable. */
export function renderFacts(facts: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 1;
  return facts.map(([name, value]) => `${`${name}:`.padEnd(width)}${GAP}${printable(value)}\n`).join('');
}

function padded(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}
