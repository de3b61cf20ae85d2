import { ShoalError } from '../../common/errors.js';
import type { GetDone__Output } from '../../proto/gen/shoal/control/v1/GetDone.js';
import type { GetFound__Output } from '../../proto/gen/shoal/control/v1/GetFound.js';
import type { LocalPath } from '../../proto/gen/shoal/control/v1/LocalPath.js';
import type { ControlClient } from './control-client.js';
import type { ProgressView } from './progress.js';
import { progressSample } from './transfer-progress.js';

/** Takes what a get brings. */
export interface Sink {
  /** An empty file that the daemon may fill itself; undefined where the bytes have to come here. */
  readonly localPath: LocalPath | undefined;
  /** Told once which file it is, before any bytes. Throwing ends the get. */
  found(found: GetFound__Output): Promise<void>;
  /** Takes the next bytes; the get goes no faster than this. */
  append(data: Uint8Array): Promise<void>;
}

/** What came of a get. */
export interface GetResult {
  readonly found: GetFound__Output;
  readonly done: GetDone__Output;
}

/**
 * One `Get` into a sink. Throws `corrupt` when fewer or more bytes came than the file has; where the daemon filled the
 * sink's file itself, the caller has to look.
 */
export async function callGet(
  deps: { readonly client: ControlClient; readonly progress: ProgressView },
  ref: string,
  sink: Sink,
): Promise<GetResult> {
  let found: GetFound__Output | undefined;
  let done: GetDone__Output | undefined;
  let appendedBytes = 0;
  const request = { ref, ...(sink.localPath === undefined ? {} : { target: sink.localPath }) };
  for await (const event of deps.client.get(request)) {
    if (event.found) {
      found = event.found;
      await sink.found(found);
    } else if (event.progress) {
      deps.progress.update(progressSample(event.progress));
    } else if (event.data) {
      await sink.append(event.data);
      appendedBytes += event.data.length;
    } else if (event.done) {
      done = event.done;
    }
  }
  if (found === undefined || done === undefined) {
    throw new ShoalError('internal', 'the peer ended the get without saying how it went');
  }
  if (found.streaming) checkSize(found, appendedBytes);
  return { found, done };
}

/** Throws `corrupt` when `bytes` is not how long the file is. */
export function checkSize(found: GetFound__Output, bytes: number): void {
  const expected = found.file?.size ?? 0;
  if (bytes === expected) return;
  throw new ShoalError('corrupt', `${found.file?.name ?? 'the file'} has ${expected} bytes, and ${bytes} came`, {
    hint: 'try again; what is here already is not fetched twice',
  });
}
