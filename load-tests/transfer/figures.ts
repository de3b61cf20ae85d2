/** The middle of some figures (the mean of the two middle ones of an even number), and the span that they cover. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws a RangeError when there is no figure. */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = [...figures].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  const min = sorted[0];
  const max = sorted.at(-1);
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    throw new RangeError('a median needs at least one figure');
  }
  return { median: (low + high) / 2, min, max };
}

/** `2.41 (2.30-2.95)`: the median, and where the single runs lay; the median alone when there was one run. */
export function formatSpread({ median, min, max }: Spread, digits: number): string {
  const text = (value: number) => value.toFixed(digits);
  return min === max ? text(median) : `${text(median)} (${text(min)}-${text(max)})`;
}

/** In MiB, as memory is measured. */
export function formatMiB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** As people write the size of a file: `1 GiB`, `64 MiB`. */
export function formatFileSize(bytes: number): string {
  const gibibytes = bytes / 2 ** 30;
  return Number.isInteger(gibibytes) ? `${gibibytes} GiB` : `${bytes / 2 ** 20} MiB`;
}

/** A table in Markdown, the first row its head; the first column is text, the others are figures. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const head = rows[0] ?? [];
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
