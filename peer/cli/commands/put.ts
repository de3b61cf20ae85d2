import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { ShoalError } from '../../../common/errors.js';
import { nameProblem } from '../../../common/names.js';
import type { CommandContext } from '../command-context.js';
import { filesIn } from '../folder-files.js';
import { formatDuration, formatRate, formatSize, plural } from '../format.js';
import { type Published, type PutOptions, putOne, reportPublished, type Source, STANDARD_INPUT } from './put-one.js';

/**
 * Publishes files, and all that is in folders, and prints the id of each; `json`, one value, comes at the end. Names and
 * options are checked before anything is sent.
 */
export async function put(
  context: CommandContext,
  files: readonly string[],
  options: PutOptions,
): Promise<number | undefined> {
  checkOptions(files, options);
  const sources: Source[] = [];
  let hasFolder = false;
  for (const file of files) {
    const isFolder = file !== STANDARD_INPUT && (await isFolderThere(resolve(context.io.cwd, file)));
    hasFolder ||= isFolder;
    sources.push(...(isFolder ? await sourcesIn(context, file, options) : [{ file, ...named(file, options) }]));
  }
  refuseTwins(sources);
  const [single] = sources;
  if (hasFolder || single === undefined || sources.length > 1) {
    return (await import('./put-many.js')).putMany(context, sources, options);
  }
  const beganMs = context.io.now();
  const published = await putOne(context, single, { options, progress: context.progress() });
  await reportPublished(context, [published], published);
  noteResult(context, published, (context.io.now() - beganMs) / 1000);
  return undefined;
}

function checkOptions(files: readonly string[], options: PutOptions): void {
  if (options.visibility === 'public' && options.share !== undefined) {
    throw new ShoalError('invalid', '--share makes the file private, and --visibility public contradicts it');
  }
  if (options.as !== undefined && files.length > 1) {
    throw new ShoalError('invalid', '--as is the name of one file or folder, and there are several', {
      hint: 'put them one by one, or leave --as out',
    });
  }
}

async function isFolderThere(path: string): Promise<boolean> {
  // Whatever else is wrong with it is told when it is opened.
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

/** The name under which one file goes. Throws `invalid` for what could never be published. */
function named(file: string, { as }: PutOptions): { readonly name: string; readonly size: undefined } {
  const name = as ?? lastPart(file);
  const problem = nameProblem(name);
  if (problem === undefined) return { name, size: undefined };
  throw new ShoalError('invalid', `the name '${name}' ${problem}`, { hint: 'give another one with --as NAME' });
}

/** The files in a folder, under its name. Which of them may have such names is for each to hear. */
async function sourcesIn(context: CommandContext, folder: string, options: PutOptions): Promise<readonly Source[]> {
  const prefix = named(folder, options.as === undefined ? options : { ...options, as: options.as.replace(/\/$/, '') });
  const { files, skipped } = await filesIn(resolve(context.io.cwd, folder));
  for (const { inside, why } of skipped) context.note(`${join(folder, inside)} is left out: it is ${why}`);
  return files.map(({ inside, size }) => ({ file: join(folder, inside), name: `${prefix.name}/${inside}`, size }));
}

function refuseTwins(sources: readonly Source[]): void {
  const names = new Set<string>();
  for (const { name } of sources) {
    if (names.has(name)) {
      throw new ShoalError('invalid', `two of the files would be published as '${name}'`, {
        hint: 'put them one by one, with --as NAME',
      });
    }
    names.add(name);
  }
}

function lastPart(file: string): string {
  if (file === STANDARD_INPUT) {
    throw new ShoalError('invalid', 'standard input has no name', { hint: 'give it one with --as NAME' });
  }
  if (file === '')
    throw new ShoalError('invalid', "the FILE '' is empty", { hint: 'name a file, or - for standard input' });
  return basename(resolve(file));
}

function noteResult(context: CommandContext, file: Published, seconds: number): void {
  const rate = formatRate(file.size / Math.max(seconds, 0.001));
  const copies = plural(file.copies, 'copy', 'copies');
  context.note(`${file.name}: ${formatSize(file.size)} in ${formatDuration(seconds)} (${rate}), ${copies}`);
}
