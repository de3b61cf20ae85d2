import { open } from 'node:fs/promises';
import { ShoalError } from '../../../common/errors.js';
import type { CommandContext } from '../command-context.js';
import { formatDuration, formatRate, formatSize, plural } from '../format.js';
import type { GetResult, Sink } from '../get-call.js';
import { isPrefix } from '../get-plan.js';
import { write } from '../io.js';
import { openNamedPipe } from '../named-pipe.js';
import { planTarget, type Target } from '../target.js';
import { fileJson } from './files.js';
import { type GetOptions, getFile, gotten, reportGotten, type TimedResult, timedGet } from './get-one.js';

/** Fetches files and prints their paths; with `--to -` the bytes of the one are the output. */
export async function get(
  context: CommandContext,
  refs: readonly string[],
  options: GetOptions,
): Promise<number | undefined> {
  const [ref = ''] = refs;
  if (refs.length > 1 || isPrefix(ref)) return (await import('./get-many.js')).getMany(context, refs, options);
  if (options.overwrite) {
    throw new ShoalError('invalid', '--overwrite is for PREFIX/: one file takes the place of the one that is there');
  }
  const target = await planTarget(options.to, context.io.cwd);
  if (target.kind === 'stdout') await cat(context, ref);
  else if (target.kind === 'direct') await getDirectly(context, ref, target);
  else await report(context, await getFile(context, ref, { target, progress: context.progress() }));
  return undefined;
}

/** Fetches a file to standard output, which carries nothing else. */
export async function cat(context: CommandContext, ref: string): Promise<void> {
  if (context.options.format !== 'table') {
    throw new ShoalError('invalid', 'standard output carries the file, so --output has no place to show anything', {
      hint: `leave --output out, or save the file: shoal get ${ref}`,
    });
  }
  const sink = pipeInto((data) => write(context.io.stdout, data, context.signal));
  const result = await timedGet(context, ref, { sink, progress: context.progress() });
  noteResult(context, result);
  // Where the output is cut on its way, as `kubectl exec` may do, this is how to tell.
  context.note(`sha256 ${result.found.sha256}`);
}

/** Writes to what is there: a named pipe or a device. */
async function getDirectly(
  context: CommandContext,
  ref: string,
  { path, isPipe }: Target & { kind: 'direct' },
): Promise<void> {
  const { append, close } = await (isPipe ? openPipe(path, context.signal) : openDevice(path));
  try {
    const how = { sink: pipeInto(append), progress: context.progress() };
    await report(context, { ...(await timedGet(context, ref, how)), path });
  } finally {
    await close();
  }
}

interface Open {
  readonly append: Sink['append'];
  close(): Promise<void>;
}

async function openPipe(path: string, signal: AbortSignal): Promise<Open> {
  const pipe = await openNamedPipe(path, signal);
  return { append: (data) => write(pipe, data, signal), close: async () => void pipe.destroy() };
}

async function openDevice(path: string): Promise<Open> {
  const file = await open(path, 'w');
  return { append: (data) => file.appendFile(data), close: () => file.close() };
}

function pipeInto(append: Sink['append']): Sink {
  return { localPath: undefined, found: () => Promise.resolve(), append };
}

async function report(context: CommandContext, result: TimedResult & { readonly path: string }): Promise<void> {
  const file = gotten(result.path, result);
  await reportGotten(context, [file], file);
  noteResult(context, result);
}

function noteResult(context: CommandContext, { found, done, seconds }: TimedResult): void {
  const { name, size } = fileJson(found.file);
  const rate = formatRate(size / Math.max(seconds, 0.001));
  context.note(`${name}: ${formatSize(size)} in ${formatDuration(seconds)} (${rate}), ${origin(size, done)}`);
}

function origin(size: number, { receivedBytes, peers }: GetResult['done']): string {
  if (receivedBytes === 0) return 'all of it was here';
  const from = `from ${plural(peers, 'peer')}`;
  return receivedBytes < size ? `${formatSize(receivedBytes)} of it ${from}` : from;
}
