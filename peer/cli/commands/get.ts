import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ShoalError } from '../../../common/errors.js';
import type { CommandContext } from '../command-context.js';
import { formatDuration, formatRate, formatSize, plural } from '../format.js';
import { callGet, checkSize, type GetResult, type Sink } from '../get-call.js';
import { write } from '../io.js';
import { finalPath, planTarget, type Target } from '../target.js';
import { createTemporaryFile, type TemporaryFile } from '../temporary-file.js';
import { printable } from '../text.js';
import { fileJson } from './files.js';

/** The options of `shoal get`. */
export interface GetOptions {
  readonly to?: string;
}

/** A get that is over, and how long it took. */
interface TimedResult extends GetResult {
  readonly seconds: number;
}

/** Fetches a file and prints its path; with `--to -` its bytes are the output. */
export async function get(context: CommandContext, ref: string, options: GetOptions): Promise<void> {
  const target = await planTarget(options.to, context.io.cwd);
  if (target.kind === 'stdout') return cat(context, ref);
  if (target.kind === 'direct') return getDirectly(context, ref, target.path);
  // Before a file is made: without a daemon there is nothing to put into it.
  await context.connect();
  const temporary = await createTemporaryFile(resolve(context.io.cwd, target.folder), target.name ?? ref);
  try {
    await getFile(context, ref, { target, temporary });
  } finally {
    await temporary.discard();
  }
}

/** Fetches a file to standard output, which carries nothing else. */
export async function cat(context: CommandContext, ref: string): Promise<void> {
  if (context.options.format !== 'table') {
    throw new ShoalError('invalid', 'standard output carries the file, so --output has no place to show anything', {
      hint: `leave --output out, or save the file: shoal get ${ref}`,
    });
  }
  const result = await timedGet(
    context,
    ref,
    pipeInto((data) => write(context.io.stdout, data)),
  );
  noteResult(context, result);
  // Where the output is cut on its way, as `kubectl exec` may do, this is how to tell.
  context.note(`sha256 ${result.found.sha256}`);
}

async function getFile(
  context: CommandContext,
  ref: string,
  { target, temporary }: { target: Target & { kind: 'file' }; temporary: TemporaryFile },
): Promise<void> {
  const { cwd, umask } = context.io;
  let path = '';
  const result = await timedGet(context, ref, {
    localPath: temporary.localPath,
    found: async ({ file }) => {
      path = await finalPath(target, file?.name ?? '', cwd);
    },
    append: (data) => temporary.append(data),
  });
  checkSize(result.found, await temporary.size());
  await temporary.moveTo(resolve(cwd, path), umask);
  await report(context, path, result);
}

/** Writes to what is there: a named pipe or a device. */
async function getDirectly(context: CommandContext, ref: string, path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    await report(
      context,
      path,
      await timedGet(
        context,
        ref,
        pipeInto((data) => file.appendFile(data)),
      ),
    );
  } finally {
    await file.close();
  }
}

function pipeInto(append: Sink['append']): Sink {
  return { localPath: undefined, found: () => Promise.resolve(), append };
}

async function timedGet(context: CommandContext, ref: string, sink: Sink): Promise<TimedResult> {
  const client = await context.connect();
  const progress = context.progress();
  const beganMs = context.io.now();
  try {
    const result = await callGet({ client, progress }, ref, sink);
    return { ...result, seconds: (context.io.now() - beganMs) / 1000 };
  } finally {
    progress.finish();
  }
}

async function report(context: CommandContext, path: string, result: TimedResult): Promise<void> {
  const file = fileJson(result.found.file);
  const { receivedBytes, peers } = result.done;
  const { id, name, owner, size } = file;
  await context.report({
    json: { path, id, name, owner, size, sha256: result.found.sha256, receivedBytes, peers, seconds: result.seconds },
    names: [name],
    // A script gets the path as it is; a terminal gets nothing that moves its cursor.
    table: () => `${context.io.stdout.isTTY === true ? printable(path) : path}\n`,
  });
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
