import { ShoalError } from '../../../common/errors.js';
import { Lane } from '../../../common/lane.js';
import type { PutManyResult__Output } from '../../../proto/gen/shoal/control/v1/PutManyResult.js';
import { SMALL_FILE_BYTES, SMALL_FILES_AT_ONCE } from '../../small-files.js';
import type { CommandContext } from '../command-context.js';
import { readIfSmall } from '../input-file.js';
import { noteMany, workThrough } from '../many-files.js';
import { ManyProgress } from '../many-progress.js';
import { SmallFilesCall } from '../small-files-call.js';
import { progressSample } from '../transfer-progress.js';
import {
  type Published,
  type PutOptions,
  publishedOf,
  putOne,
  putTerms,
  reportPublished,
  type Source,
} from './put-one.js';

/** Large files under way at once: one reads while another is hashed, synced or published. */
const LARGE_AT_ONCE = 4;

/**
 * Publishes many files: small ones together in one call, large ones by calls of their own. Each is reported in the order
 * given; one that fails is told by name and the others go on, unless all would fail alike. Returns the exit code.
 */
export async function putMany(
  context: CommandContext,
  sources: readonly Source[],
  options: PutOptions,
): Promise<number> {
  const isOneValue = context.options.format === 'json';
  const beganMs = context.io.now();
  // Before several want it at once.
  if (sources.length > 0) await context.connect();
  const batch = new Batch(context, sources, options);
  const outcome = await batch
    .run((published) => (isOneValue ? Promise.resolve() : reportPublished(context, published, undefined)))
    .finally(() => batch.close());
  if (isOneValue) await reportPublished(context, [], { files: outcome.done });
  noteMany(context, outcome, (context.io.now() - beganMs) / 1000);
  return outcome.exitCode;
}

type SmallPuts = SmallFilesCall<{ readonly name: string; readonly data: Buffer }, PutManyResult__Output>;

class Batch {
  readonly #context: CommandContext;
  readonly #sources: readonly Source[];
  readonly #options: PutOptions;
  readonly #progress: ManyProgress;
  readonly #large = new Lane(LARGE_AT_ONCE);
  #small: Promise<SmallPuts> | undefined;

  constructor(context: CommandContext, sources: readonly Source[], options: PutOptions) {
    this.#context = context;
    this.#sources = sources;
    this.#options = options;
    this.#progress = new ManyProgress(context.progress(), {
      phase: 'storing',
      totalBytes: sources.reduce((sum, { size = 0 }) => sum + size, 0),
      totalFiles: sources.length,
    });
  }

  run(report: (done: readonly Published[]) => Promise<void>) {
    return workThrough(
      this.#context,
      {
        items: this.#sources,
        isInOrder: true,
        labelOf: ({ file }: Source) => file,
        work: (source) => this.#put(source),
        report,
        endsAll: ({ code }) => code === 'unauthenticated' || code === 'unavailable',
      },
      { atOnce: SMALL_FILES_AT_ONCE },
    );
  }

  async close(): Promise<void> {
    this.#progress.finish();
    // That it could not be begun, each file was told.
    await (await this.#small?.catch(() => undefined))?.close();
  }

  async #put(source: Source): Promise<Published> {
    const progress = this.#progress.file(source.size ?? 0);
    try {
      const data = readIfSmall(source.file, this.#context.io.cwd, SMALL_FILE_BYTES);
      if (data === undefined) {
        return await this.#large.run(() => putOne(this.#context, source, { options: this.#options, progress }));
      }
      this.#small ??= this.#begin();
      const { done } = await (await this.#small).ask({ name: source.name, data });
      if (!done) throw new ShoalError('internal', 'the peer did not say what it published');
      return publishedOf(done);
    } finally {
      progress.finish();
    }
  }

  async #begin(): Promise<SmallPuts> {
    const call = (await this.#context.connect()).putMany();
    call.requests.write({ start: putTerms(this.#options) });
    return new SmallFilesCall(call, {
      messageOf: (files) => ({ files }),
      bytesOf: ({ data }) => data.length,
      onWaiting: (progress) => this.#progress.waiting(progressSample(progress)),
    });
  }
}
