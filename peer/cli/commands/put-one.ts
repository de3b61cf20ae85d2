import { ShoalError } from '../../../common/errors.js';
import type { PutDone__Output } from '../../../proto/gen/shoal/control/v1/PutDone.js';
import type { PutStart } from '../../../proto/gen/shoal/control/v1/PutStart.js';
import type { CommandContext } from '../command-context.js';
import { type Input, openInputFile, standardInput } from '../input-file.js';
import type { ProgressView } from '../progress.js';
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

/** A file to publish. */
export interface Source {
  /** Path, or `-`. */
  readonly file: string;
  readonly name: string;
  /** Bytes, when it was looked at already. */
  readonly size: number | undefined;
}

/** One file as `put` tells of it. */
export interface Published {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly copies: number;
}

/** As a file, standard input. */
export const STANDARD_INPUT = '-';

/** Publishes one file by a call of its own. */
export async function putOne(
  context: CommandContext,
  { file, name }: Source,
  { options, progress }: { readonly options: PutOptions; readonly progress: ProgressView },
): Promise<Published> {
  const { io } = context;
  const input = file === STANDARD_INPUT ? standardInput(io) : await openInputFile(file, io.cwd);
  try {
    const client = await context.connect();
    return publishedOf(await callPut({ client, input, progress }, putStart(input, name, options)));
  } finally {
    progress.finish();
    await input.close();
  }
}

/** What the options say to every file. */
export function putTerms(options: PutOptions) {
  return {
    tags: options.tag ?? {},
    visibility: options.visibility ?? (options.share === undefined ? 'public' : 'private'),
    readers: [...(options.share ?? [])],
    noWait: !options.wait,
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
  };
}

/** What was published, as `put` tells of it. */
export function publishedOf({ file, sha256, copies }: PutDone__Output): Published {
  if (file === null) throw new ShoalError('internal', 'the peer did not say what it published');
  return { id: file.id, name: file.name, size: file.size, sha256, copies };
}

/** Prints files; `json` is the one value of that format. */
export function reportPublished(context: CommandContext, done: readonly Published[], json: unknown): Promise<void> {
  return context.report({
    json,
    items: done,
    names: done.map((file) => file.name),
    table: () => done.map((file) => `${file.id}\n`).join(''),
  });
}

function putStart(input: Input, name: string, options: PutOptions): PutStart {
  return {
    name,
    ...putTerms(options),
    ...(input.localPath === undefined ? {} : { source: input.localPath }),
    ...(input.size === undefined ? {} : { size: input.size }),
  };
}
