import { ShoalError } from '../../../common/errors.js';
import type { VerifyDone__Output } from '../../../proto/gen/shoal/control/v1/VerifyDone.js';
import type { CommandContext } from '../command-context.js';
import { plural } from '../format.js';
import { renderFacts } from '../table.js';
import { progressSample } from '../transfer-progress.js';

/** Has the peer read every chunk that it holds of a file. Throws `corrupt` when some were damaged. */
export async function verify(context: CommandContext, ref: string): Promise<void> {
  const { id, chunks, damaged } = await callVerify(context, ref);
  await context.report({
    json: { id, chunks, damaged },
    names: [id],
    table: () =>
      renderFacts([
        ['id', id],
        ['read', plural(chunks, 'chunk')],
        ['damaged', plural(damaged, 'chunk')],
      ]),
  });
  if (chunks === 0) context.note('this peer holds nothing of the file');
  if (damaged === 0) return;
  throw new ShoalError('corrupt', `${plural(damaged, 'chunk')} of ${ref} did not match on this peer's disk`, {
    hint: `they are forgotten; fetch them again with: shoal get ${ref}`,
  });
}

async function callVerify(context: CommandContext, ref: string): Promise<VerifyDone__Output> {
  const client = await context.connect();
  const progress = context.progress();
  let done: VerifyDone__Output | undefined;
  try {
    for await (const event of client.verify({ ref })) {
      if (event.progress) progress.update({ ...progressSample(event.progress), phase: 'verifying' });
      else if (event.done) done = event.done;
    }
  } finally {
    progress.finish();
  }
  if (done !== undefined) return done;
  throw new ShoalError('internal', 'the peer ended the verification without saying how it went');
}
