import { basename, resolve } from 'node:path';
import { ShoalError } from '../../../common/errors.js';
import { nameProblem } from '../../../common/names.js';
import type { PutDone__Output } from '../../../proto/gen/shoal/control/v1/PutDone.js';
import type { PutStart } from '../../../proto/gen/shoal/control/v1/PutStart.js';
import type { CommandContext } from '../command-context.js';
import type { ControlClient } from '../control-client.js';
import { formatDuration, formatRate, formatSize, plural } from '../format.js';
import { type Input, openInputFile, standardInput } from '../input-file.js';
import { callPut } from '../put-call.js';

/** The options of `shoal put`. */
export interface PutOptions {
  readonly as?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly visibility?: 'public' | 'private';
  readonly share?: readonly string[];
  readonly replicas?: number;
  readonly wait: boolean;
}

/** One file as `put` tells of it. */
interface Published {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly copies: number;
}

const STANDARD_INPUT = '-';

/**
 * Publishes files, one after the other, and prints the id of each as soon as it is published; `json`, one value, comes
 * at the end. Names and options are checked before anything is sent. When a file fails, those before it stay published,
 * and their ids are printed.
 */
export async function put(context: CommandContext, files: readonly string[], options: PutOptions): Promise<void> {
  const names = publishedNames(files, options);
  const isOneValue = context.options.format === 'json';
  const done: Published[] = [];
  try {
    for (const [file, name] of names) {
      const published = await putOne(context, file, { ...options, as: name });
      done.push(published);
      if (!isOneValue) await report(context, [published], 1);
    }
  } finally {
    if (isOneValue && done.length > 0) await report(context, done, files.length);
  }
}

async function putOne(context: CommandContext, file: string, options: PutOptions & { as: string }): Promise<Published> {
  const { stdin, cwd, now } = context.io;
  const input = file === STANDARD_INPUT ? standardInput(stdin) : await openInputFile(file, cwd);
  try {
    const client = await context.connect();
    const beganMs = now();
    const done = await transfer(context, client, input, putStart(input, options));
    const published = publishedOf(done);
    noteResult(context, published, (now() - beganMs) / 1000);
    return published;
  } finally {
    await input.close();
  }
}

async function transfer(
  context: CommandContext,
  client: ControlClient,
  input: Input,
  start: PutStart,
): Promise<PutDone__Output> {
  const progress = context.progress();
  try {
    return await callPut({ client, input, progress }, start);
  } finally {
    progress.finish();
  }
}

/** Which file goes under which name. Throws `invalid` for what could never be published. */
function publishedNames(files: readonly string[], options: PutOptions): ReadonlyMap<string, string> {
  if (options.visibility === 'public' && options.share !== undefined) {
    throw new ShoalError('invalid', '--share makes the file private, and --visibility public contradicts it');
  }
  if (options.as !== undefined && files.length > 1) {
    throw new ShoalError('invalid', '--as is the name of one file, and there are several', {
      hint: 'put them one by one, or leave --as out',
    });
  }
  const names = new Map<string, string>();
  for (const file of files) {
    const name = options.as ?? lastPart(file);
    const problem = nameProblem(name);
    if (problem !== undefined) {
      throw new ShoalError('invalid', `the name '${name}' ${problem}`, { hint: 'give another one with --as NAME' });
    }
    if ([...names.values()].includes(name)) {
      throw new ShoalError('invalid', `two of the files would be published as '${name}'`, {
        hint: 'put them one by one, with --as NAME',
      });
    }
    names.set(file, name);
  }
  return names;
}

function lastPart(file: string): string {
  if (file === STANDARD_INPUT) {
    throw new ShoalError('invalid', 'standard input has no name', { hint: 'give it one with --as NAME' });
  }
  if (file === '')
    throw new ShoalError('invalid', "the FILE '' is empty", { hint: 'name a file, or - for standard input' });
  return basename(resolve(file));
}

function putStart(input: Input, options: PutOptions & { as: string }): PutStart {
  return {
    name: options.as,
    tags: options.tag ?? {},
    visibility: options.visibility ?? (options.share === undefined ? 'public' : 'private'),
    readers: [...(options.share ?? [])],
    noWait: !options.wait,
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    ...(input.localPath === undefined ? {} : { source: input.localPath }),
    ...(input.size === undefined ? {} : { size: input.size }),
  };
}

function publishedOf({ file, sha256, copies }: PutDone__Output): Published {
  if (file === null) throw new ShoalError('internal', 'the peer did not say what it published');
  return { id: file.id, name: file.name, size: file.size, sha256, copies };
}

function noteResult(context: CommandContext, file: Published, seconds: number): void {
  const rate = formatRate(file.size / Math.max(seconds, 0.001));
  const copies = plural(file.copies, 'copy', 'copies');
  context.note(`${file.name}: ${formatSize(file.size)} in ${formatDuration(seconds)} (${rate}), ${copies}`);
}

function report(context: CommandContext, done: readonly Published[], wanted: number): Promise<void> {
  return context.report({
    json: wanted === 1 ? done[0] : { files: done },
    items: done,
    names: done.map((file) => file.name),
    table: () => done.map((file) => `${file.id}\n`).join(''),
  });
}
