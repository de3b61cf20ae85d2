import { lstat, rm } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { ShoalError } from '../../../common/errors.js';
import { Lane } from '../../../common/lane.js';
import type { GetManyResult__Output } from '../../../proto/gen/shoal/control/v1/GetManyResult.js';
import { SMALL_FILES_AT_ONCE } from '../../small-files.js';
import type { CommandContext } from '../command-context.js';
import { inFetchingOrder, isLarge } from '../fetching-order.js';
import { checkSize, type GetResult } from '../get-call.js';
import { filesOf, isPrefix, type PlacedFile, shownPath } from '../get-plan.js';
import { noteMany, workThrough } from '../many-files.js';
import { ManyProgress } from '../many-progress.js';
import type { ProgressView } from '../progress.js';
import { SmallFilesCall } from '../small-files-call.js';
import { planTarget, type Target } from '../target.js';
import { createTemporaryFile } from '../temporary-file.js';
import { progressSample } from '../transfer-progress.js';
import { isMissing, writeWhole } from '../whole-file.js';
import { type GetOptions, type Gotten, getFile, gotten, reportGotten, timedGet } from './get-one.js';

/** Large files under way at once: one is assembled while others still come. */
const LARGE_AT_ONCE = 4;
/** What ends the get of a file that is where it should go already. */
const ALREADY_THERE = new ShoalError('conflict', 'the file is there already');

/** A file to fetch: one of a prefix, or what a reference of its own says. */
type Wanted = PlacedFile | { readonly ref: string };

/**
 * Fetches several files: those of `PREFIX/` into a folder, others as {@link getFile} does. Each is reported, those of a
 * prefix as they come; one that fails is told by name and the others go on. Returns the exit code.
 */
export async function getMany(context: CommandContext, refs: readonly string[], options: GetOptions): Promise<number> {
  const isOneValue = context.options.format === 'json';
  const target = await folderTarget(context, refs, options);
  const beganMs = context.io.now();
  const wanted = await expanded(context, refs, options);
  const batch = new Batch(context, wanted, { ...options, target });
  const outcome = await batch
    .run((some) => (isOneValue ? Promise.resolve() : reportGotten(context, some, undefined)))
    .finally(() => batch.close());
  if (isOneValue) await reportGotten(context, [], { files: refs.some(isPrefix) ? byName(outcome.done) : outcome.done });
  noteMany(context, outcome, (context.io.now() - beganMs) / 1000);
  return outcome.exitCode;
}

/** Where those files go that are asked for one by one. */
async function folderTarget(
  context: CommandContext,
  refs: readonly string[],
  { to }: GetOptions,
): Promise<Target & { kind: 'file' }> {
  // Of a prefix the folder is made when the first file comes.
  if (refs.every(isPrefix)) return { kind: 'file', folder: to ?? '', name: undefined };
  const target = await planTarget(to, context.io.cwd);
  if (target.kind === 'file' && target.name === undefined) return target;
  throw new ShoalError('invalid', `--to ${to} is no folder, and there are several files`, {
    hint: 'make the folder first, or get the files one by one',
  });
}

async function expanded(
  context: CommandContext,
  refs: readonly string[],
  { to }: GetOptions,
): Promise<readonly Wanted[]> {
  const client = await context.connect();
  const wanted: Wanted[] = [];
  for (const ref of refs) {
    if (isPrefix(ref)) wanted.push(...inFetchingOrder(await filesOf(client, ref, { to, cwd: context.io.cwd })));
    else wanted.push({ ref });
  }
  return wanted;
}

function byName(files: readonly Gotten[]): Gotten[] {
  return [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
}

type SmallGets = SmallFilesCall<{ readonly ref: string }, GetManyResult__Output>;

class Batch {
  readonly #context: CommandContext;
  readonly #wanted: readonly Wanted[];
  readonly #options: GetOptions & { readonly target: Target & { kind: 'file' } };
  readonly #progress: ManyProgress;
  readonly #large = new Lane(LARGE_AT_ONCE);
  /** Paths that some file of this command has, or will have. */
  readonly #claimed = new Set<string>();
  #small: Promise<SmallGets> | undefined;

  constructor(
    context: CommandContext,
    wanted: readonly Wanted[],
    options: GetOptions & { readonly target: Target & { kind: 'file' } },
  ) {
    this.#context = context;
    this.#wanted = wanted;
    this.#options = options;
    this.#progress = new ManyProgress(context.progress(), {
      phase: 'fetching',
      totalBytes: wanted.reduce((sum, file) => sum + ('ref' in file ? 0 : file.size), 0),
      totalFiles: wanted.length,
    });
  }

  run(report: (done: readonly Gotten[]) => Promise<void>) {
    return workThrough(
      this.#context,
      {
        items: this.#wanted,
        isInOrder: this.#wanted.every((file) => 'ref' in file),
        labelOf: (file: Wanted) => ('ref' in file ? file.ref : file.name),
        work: (file) => this.#get(file),
        report,
        endsAll: async ({ code }) =>
          code === 'unauthenticated' || (code === 'unavailable' && !(await this.#context.isPeerThere())),
      },
      { atOnce: SMALL_FILES_AT_ONCE },
    );
  }

  async close(): Promise<void> {
    this.#progress.finish();
    // That it could not be begun, each file was told.
    await (await this.#small?.catch(() => undefined))?.close();
  }

  async #get(file: Wanted): Promise<Gotten> {
    const progress = this.#progress.file('ref' in file ? 0 : file.size);
    try {
      if ('ref' in file) return await this.#large.run(() => this.#getRef(file, progress));
      const path = await file.folder.place(file.inside);
      this.#claim(path, shownPath(file));
      if (!isLarge(file)) return await this.#getSmall(file, path);
      return await this.#large.run(() => this.#getLarge(file, path, progress));
    } finally {
      progress.finish();
    }
  }

  async #getRef({ ref }: { readonly ref: string }, progress: ProgressView): Promise<Gotten> {
    const { target } = this.#options;
    const onPath = (path: string) => this.#claim(resolve(this.#context.io.cwd, path), path);
    const result = await getFile(this.#context, ref, { target, progress, onPath });
    return gotten(result.path, result);
  }

  async #getSmall(file: PlacedFile, path: string): Promise<Gotten> {
    const { now, umask } = this.#context.io;
    const beganMs = now();
    this.#small ??= this.#begin();
    const { file: fetched } = await (await this.#small).ask({ ref: file.id });
    if (!fetched) throw new ShoalError('internal', 'the peer did not say what it fetched');
    const { sha256, data } = fetched;
    const found = { file: fetched.file, sha256, streaming: true };
    checkSize(found, data.length);
    if (await this.#isMissing(file, path, sha256)) {
      writeWhole(path, data, { umask, shown: shownPath(file) });
    }
    const done = fetched.done ?? { receivedBytes: 0, peers: 0 };
    return gotten(shownPath(file), { found, done, seconds: (now() - beganMs) / 1000 });
  }

  async #getLarge(file: PlacedFile, path: string, progress: ProgressView): Promise<Gotten> {
    const temporary = await createTemporaryFile(dirname(path), basename(path));
    let found: GetResult['found'] | undefined;
    try {
      const sink = {
        localPath: temporary.localPath,
        found: async (it: GetResult['found']) => {
          found = it;
          if (!(await this.#isMissing(file, path, it.sha256))) throw ALREADY_THERE;
        },
        append: (data: Uint8Array) => temporary.append(data),
      };
      const result = await timedGet(this.#context, file.id, { sink, progress });
      checkSize(result.found, await temporary.size());
      // A link is replaced, not what it leads to.
      if ((await lstat(path).catch(() => undefined))?.isSymbolicLink()) await rm(path);
      await temporary.moveTo(path, { umask: this.#context.io.umask, shown: shownPath(file) });
      return gotten(shownPath(file), result);
    } catch (error) {
      if (error !== ALREADY_THERE || found === undefined) throw error;
      return gotten(shownPath(file), { found, done: { receivedBytes: 0, peers: 0 }, seconds: 0 });
    } finally {
      await temporary.discard();
    }
  }

  #isMissing(file: PlacedFile, path: string, sha256: string): Promise<boolean> {
    const overwrites = this.#options.overwrite === true;
    return isMissing(path, { size: file.size, sha256 }, { overwrites, shown: shownPath(file) });
  }

  /** Two files of one command do not take each other's place. */
  #claim(path: string, shown: string): void {
    if (this.#claimed.has(path)) throw new ShoalError('conflict', `two of the files would be saved as ${shown}`);
    this.#claimed.add(path);
  }

  async #begin(): Promise<SmallGets> {
    const call = (await this.#context.connect()).getMany();
    return new SmallFilesCall(call, {
      messageOf: (files) => ({ files }),
      bytesOf: ({ ref }) => ref.length,
      onWaiting: (progress) => this.#progress.waiting(progressSample(progress)),
    });
  }
}
