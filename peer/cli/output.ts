import { type OutputStream, write } from './io.js';
import type { TableStyle } from './table.js';
import { safeJson, withoutControls } from './text.js';

/** How a command shows what it found. */
export const OUTPUT_FORMATS = ['table', 'json', 'jsonl', 'name'] as const;

/** How a command shows what it found. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The answer of a command, ready for each format. */
export interface Report {
  /** For `json`: one value. */
  readonly json: unknown;
  /** For `jsonl`: one value a line; the one of `json` when left out. */
  readonly items?: readonly unknown[];
  /** For `name`: one name a line. */
  readonly names: readonly string[];
  /** For `table`: text for people that ends with a line break, or nothing. */
  readonly table: (style: TableStyle) => string;
}

/** Writes a report to `stream` in the format asked for. Rejects with the stream's error, or what `signal` says. */
export async function printReport(
  stream: OutputStream,
  report: Report,
  options: TableStyle & { readonly format: OutputFormat; readonly signal: AbortSignal },
): Promise<void> {
  const text = render(report, options);
  if (text !== '') await write(stream, text, options.signal);
}

function render(report: Report, options: TableStyle & { readonly format: OutputFormat }): string {
  switch (options.format) {
    case 'json':
      return `${safeJson(report.json, 2)}\n`;
    case 'jsonl':
      return lines((report.items ?? [report.json]).map((item) => safeJson(item)));
    case 'name':
      return lines(report.names.map(withoutControls));
    case 'table':
      return report.table(options);
  }
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join('');
}
