import { displayWidth, printable, shortened } from './text.js';

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers stand at the right; everything else at the left. */
  readonly align?: 'left' | 'right';
  /** May be cut short where the table would be too wide. */
  readonly isElastic?: boolean;
}

/** How text for people is shown. */
export interface TableStyle {
  readonly hasColor: boolean;
  /** Columns of the terminal; undefined where there is none, and nothing is cut short then. */
  readonly columns: number | undefined;
}

const GAP = '  ';
/** No column is made narrower than this, however narrow the terminal. */
const ELASTIC_MIN = 12;
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';

/**
 * A table with aligned columns, its head in bold when `hasColor`; ends with a line break. Cells are made printable, and
 * those of elastic columns cut short, the widest first, until the table is as wide as the terminal.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: TableStyle,
): string {
  const cells = rows.map((row) => row.map(printable));
  const natural = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((row) => displayWidth(row[index] ?? ''))),
  );
  const widths = style.columns === undefined ? natural : fitted(columns, natural, style.columns);
  const line = (row: readonly string[]) =>
    columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        return padded(shortened(row[index] ?? '', width), width, column.align ?? 'left');
      })
      .join(GAP)
      .trimEnd();
  const head = line(columns.map((column) => column.title));
  return [style.hasColor ? `${BOLD}${head}${RESET}` : head, ...cells.map(line), ''].join('\n');
}

/** Takes from the widest elastic column until all fit or none can give more. */
function fitted(columns: readonly Column[], natural: readonly number[], available: number): readonly number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - available;
  const elastic = [...widths.keys()].filter((index) => columns[index]?.isElastic === true);
  for (; excess > 0; excess -= 1) {
    const [widest] = elastic.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0));
    const width = widest === undefined ? 0 : (widths[widest] ?? 0);
    if (widest === undefined || width <= ELASTIC_MIN) break;
    widths[widest] = width - 1;
  }
  return widths;
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
