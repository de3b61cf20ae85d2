import type { FileEntry__Output } from '../../../proto/gen/shoal/control/v1/FileEntry.js';
import type { CommandContext } from '../command-context.js';
import { fileJson, fileTable } from './files.js';

/** The options of `shoal find`, and of `shoal ls` besides its filters. */
export interface PageOptions {
  readonly limit?: number;
  readonly page?: string;
}

/** The options of `shoal ls`. */
export interface ListOptions extends PageOptions {
  /** KEY=VALUE each. */
  readonly tag?: readonly string[];
  readonly owner?: string;
}

/** Lists files whose names begin with `prefix`, one page of them. */
export async function list(context: CommandContext, prefix: string | undefined, options: ListOptions): Promise<void> {
  const client = await context.connect();
  const answer = await client.call('List', {
    prefix: prefix ?? '',
    tags: [...(options.tag ?? [])],
    owner: options.owner ?? '',
    ...pageRequest(options),
  });
  const filters = [...(options.tag ?? []).flatMap((tag) => ['--tag', tag]), ...flag('--owner', options.owner)];
  await reportPage(context, answer, [
    'ls',
    ...(prefix === undefined ? [] : [prefix]),
    ...filters,
    ...limitFlag(options),
  ]);
}

/** Finds files with a word beginning with each of `words` in their names, one page of them. */
export async function find(context: CommandContext, words: readonly string[], options: PageOptions): Promise<void> {
  const client = await context.connect();
  const answer = await client.call('Find', { text: words.join(' '), ...pageRequest(options) });
  await reportPage(context, answer, ['find', ...words, ...limitFlag(options)]);
}

function pageRequest(options: PageOptions): { limit: number; page: string } {
  return { limit: options.limit ?? 0, page: options.page ?? '' };
}

function flag(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}

function limitFlag(options: PageOptions): string[] {
  return flag('--limit', options.limit?.toString());
}

/** As it must be typed in a shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function reportPage(
  context: CommandContext,
  answer: { readonly files: readonly FileEntry__Output[]; readonly nextPage: string },
  command: readonly string[],
): Promise<void> {
  const files = answer.files.map(fileJson);
  const nextPage = answer.nextPage === '' ? null : answer.nextPage;
  await context.report({
    json: { files, nextPage },
    items: files,
    names: files.map((file) => file.name),
    table: (style) => fileTable(files, style),
  });
  if (files.length === 0) context.note('no files');
  // In JSON the token is part of the answer.
  if (nextPage !== null && context.options.format !== 'json') {
    context.note(`more: shoal ${[...command, '--page', nextPage].map(shellWord).join(' ')}`);
  }
}
