import { ShoalError } from '../../../common/errors.js';
import type { DrainDone__Output } from '../../../proto/gen/shoal/control/v1/DrainDone.js';
import type { CommandContext } from '../command-context.js';
import { formatSize, plural } from '../format.js';
import { errorOf } from '../problem-error.js';
import { renderFacts } from '../table.js';
import { progressSample } from '../transfer-progress.js';

/** Files in the table; the other formats have more. */
const LEFT_SHOWN = 10;

/** Takes the peer beside us out of work and has what only it holds copied to others; with `undo` it works again. */
export async function drain(context: CommandContext, { undo = false }: { readonly undo?: boolean }): Promise<void> {
  const client = await context.connect();
  const progress = context.progress();
  let done: DrainDone__Output | undefined;
  let last: { readonly doneFiles: number; readonly totalFiles: number } | undefined;
  try {
    for await (const event of client.drain({ undo })) {
      if (event.progress) {
        progress.update(progressSample(event.progress));
        if (event.progress.phase === 'PHASE_HANDING_OVER') last = event.progress;
      } else if (event.done) done = event.done;
    }
  } catch (error) {
    progress.finish();
    if (!undo) tellWhatRemains(context, last);
    throw error;
  } finally {
    progress.finish();
  }
  if (done === undefined) throw new ShoalError('internal', 'the peer ended the drain without saying how it went');
  await report(context, done);
  if (done.problem !== null) throw errorOf(done.problem);
}

/** A drain goes on without us. */
function tellWhatRemains(context: CommandContext, last: { doneFiles: number; totalFiles: number } | undefined): void {
  if (last === undefined) return;
  const left = last.totalFiles - last.doneFiles;
  context.note(
    `${left} of ${plural(last.totalFiles, 'file')} ${left === 1 ? 'is' : 'are'} on no other peer yet; this one goes on draining`,
  );
}

async function report(context: CommandContext, done: DrainDone__Output): Promise<void> {
  const { peer, state, files, bytes, leftFiles, leftBytes } = done;
  const left = done.left.map(({ id, size, why }) => ({ id, size, why }));
  await context.report({
    json: { peer, state, files, bytes, leftFiles, leftBytes, left },
    names: left.map(({ id }) => id),
    table: () =>
      renderFacts([
        ['peer', peer],
        ['state', state],
        ...(state === 'draining' ? filesFacts(done) : []),
        ...left
          .slice(0, LEFT_SHOWN)
          .map(({ id, size, why }): [string, string] => [
            'left',
            `${id}  ${formatSize(size)}  ${why.replaceAll('_', ' ')}`,
          ]),
      ]),
  });
}

function filesFacts({ files, bytes, leftFiles, leftBytes }: DrainDone__Output): [string, string][] {
  return [
    ['elsewhere', `${plural(files - leftFiles, 'file')}, ${formatSize(bytes - leftBytes)}`],
    ['only here', leftFiles === 0 ? 'nothing' : `${plural(leftFiles, 'file')}, ${formatSize(leftBytes)}`],
  ];
}
