import { ShoalError } from '../../common/errors.js';
import type { PutDone__Output } from '../../proto/gen/shoal/control/v1/PutDone.js';
import type { PutStart } from '../../proto/gen/shoal/control/v1/PutStart.js';
import type { ControlClient } from './control-client.js';
import type { Input } from './input-file.js';
import type { ProgressView } from './progress.js';
import { sendData } from './send-data.js';
import { progressSample } from './transfer-progress.js';

/**
 * One `Put`: says what to publish, sends the bytes if the daemon asks for them, and returns what was published.
 *
 * Two things go on at once: events come in, and bytes may go out. Whichever fails first ends the other, and is what
 * this throws: a daemon that refuses half-way must not leave us reading standard input for ever, and a file that
 * cannot be read must not look like a call that somebody cancelled.
 */
export async function callPut(
  deps: { readonly client: ControlClient; readonly input: Input; readonly progress: ProgressView },
  start: PutStart,
): Promise<PutDone__Output> {
  const call = deps.client.put();
  const ended = new AbortController();
  let sending: Promise<void> = Promise.resolve();
  let sendFailure: unknown;
  let done: PutDone__Output | undefined;
  const send = () =>
    sendData(deps.input.read(), call.requests, { size: deps.input.size, signal: ended.signal }).catch(
      (error: unknown) => {
        if (ended.signal.aborted) return;
        sendFailure = error;
        call.cancel();
      },
    );

  call.requests.write({ start });
  try {
    for await (const event of call.events) {
      if (event.sendData) sending = send();
      else if (event.confirmEnd) call.requests.end({ end: {} });
      else if (event.progress) deps.progress.update(progressSample(event.progress));
      else if (event.done) done = event.done;
    }
    if (done !== undefined) return done;
    throw new ShoalError('internal', 'the peer ended the put without saying how it went');
  } catch (error) {
    throw sendFailure ?? error;
  } finally {
    ended.abort();
    await sending;
  }
}
