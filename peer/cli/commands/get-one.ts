import { resolve } from 'node:path';
import type { CommandContext } from '../command-context.js';
import { callGet, checkSize, type GetResult, type Sink } from '../get-call.js';
import type { ProgressView } from '../progress.js';
import { finalPath, type Target } from '../target.js';
import { createTemporaryFile } from '../temporary-file.js';
import { printable } from '../text.js';
import { type FileJson, fileJson } from './files.js';

/** The options of `shoal get`. */
export interface GetOptions {
  readonly to?: string;
  readonly overwrite?: true;
}

/** A get that is over, and how long it took. */
export interface TimedResult extends GetResult {
  readonly seconds: number;
}

/** One file as `get` tells of it; the shape is a promise to scripts. */
export interface Gotten extends Pick<FileJson, 'id' | 'name' | 'owner' | 'size'> {
  readonly path: string;
  readonly sha256: string;
  readonly receivedBytes: number;
  readonly peers: number;
  readonly seconds: number;
}

/** Fetches a file into a folder or under a name there. `onPath` is told where, before any bytes; throwing ends the get. */
export async function getFile(
  context: CommandContext,
  ref: string,
  how: {
    readonly target: Target & { kind: 'file' };
    readonly progress: ProgressView;
    readonly onPath?: (path: string) => void;
  },
): Promise<TimedResult & { readonly path: string }> {
  const { target, progress, onPath } = how;
  const { cwd, umask } = context.io;
  // Before a file is made: without a daemon there is nothing to put into it.
  await context.connect();
  const temporary = await createTemporaryFile(resolve(cwd, target.folder), target.name ?? ref);
  try {
    let path = '';
    const sink = {
      localPath: temporary.localPath,
      found: async ({ file }: GetResult['found']) => {
        path = await finalPath(target, file?.name ?? '', cwd);
        onPath?.(path);
      },
      append: (data: Uint8Array) => temporary.append(data),
    };
    const result = await timedGet(context, ref, { sink, progress });
    checkSize(result.found, await temporary.size());
    await temporary.moveTo(resolve(cwd, path), { umask, shown: path });
    return { ...result, path };
  } finally {
    await temporary.discard();
  }
}

/** One get into a sink. Finishes the progress. */
export async function timedGet(
  context: CommandContext,
  ref: string,
  { sink, progress }: { readonly sink: Sink; readonly progress: ProgressView },
): Promise<TimedResult> {
  const client = await context.connect();
  const beganMs = context.io.now();
  try {
    const result = await callGet({ client, progress }, ref, sink);
    return { ...result, seconds: (context.io.now() - beganMs) / 1000 };
  } finally {
    progress.finish();
  }
}

/** What was got, as `get` tells of it. */
export function gotten(path: string, { found, done, seconds }: TimedResult): Gotten {
  const { id, name, owner, size } = fileJson(found.file);
  const { receivedBytes, peers } = done;
  return { path, id, name, owner, size, sha256: found.sha256, receivedBytes, peers, seconds };
}

/** Prints files; `json` is the one value of that format. */
export function reportGotten(context: CommandContext, done: readonly Gotten[], json: unknown): Promise<void> {
  // A script gets the path as it is; a terminal gets nothing that moves its cursor.
  const shown = context.io.stdout.isTTY === true ? printable : (text: string) => text;
  return context.report({
    json,
    items: done,
    names: done.map(({ name }) => name),
    table: () => done.map(({ path }) => `${shown(path)}\n`).join(''),
  });
}
