import { ShoalError } from '../../../common/errors.js';
import { parseTagChanges } from '../arguments.js';
import type { CommandContext } from '../command-context.js';
import { plural } from '../format.js';
import { fileFacts, fileJson } from './files.js';

/** The options of `shoal share`. */
export interface ShareOptions {
  readonly visibility?: 'public' | 'private';
  readonly share?: readonly string[];
  readonly unshare?: readonly string[];
}

/** Removes a file from the catalogue and, in time, from every peer. */
export async function remove(context: CommandContext, ref: string): Promise<void> {
  const client = await context.connect();
  const { removed } = await client.call('Remove', { ref });
  await context.report({ json: { ref, removed }, names: [ref], table: () => '' });
  context.note(`removed ${ref} (${plural(removed, 'version')})`);
}

/** Sets tags (`KEY=VALUE`) and takes them away (`KEY-`). */
export async function tag(context: CommandContext, ref: string, changes: readonly string[]): Promise<void> {
  const { set, unset } = parseTagChanges(changes);
  const client = await context.connect();
  const file = fileJson((await client.call('Tag', { ref, set, unset })).file);
  await context.report({ json: file, names: [file.name], table: () => fileFacts(file) });
}

/** Changes who may read a file. */
export async function share(context: CommandContext, ref: string, options: ShareOptions): Promise<void> {
  const { visibility = '', share: added = [], unshare: removed = [] } = options;
  if (visibility === '' && added.length === 0 && removed.length === 0) {
    throw new ShoalError('invalid', 'nothing to change', {
      hint: 'say --visibility public|private, --share USER or --unshare USER',
    });
  }
  const client = await context.connect();
  const answer = await client.call('Share', { ref, visibility, addReaders: [...added], removeReaders: [...removed] });
  const file = fileJson(answer.file);
  await context.report({
    json: { ...file, readers: answer.readers },
    names: [file.name],
    table: () => fileFacts(file, [['readers', answer.readers.join(', ') || '-']]),
  });
  if (added.length > 0 && file.visibility === 'public') {
    context.note(`${file.name} is public, so everybody may read it; to change that: --visibility private`);
  }
}
