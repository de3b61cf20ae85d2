import { ShoalError } from '../../common/errors.js';
import type { UploadHeader__Output } from '../../proto/gen/shoal/peer/v1/UploadHeader.js';
import type { UploadRequest__Output } from '../../proto/gen/shoal/peer/v1/UploadRequest.js';

/**
 * The messages of an upload as what they mean: a header, then bytes until the end is said. Throws `invalid` when there is
 * no header first, or it is nonsense; so does `data` when the messages go on in another way than agreed, or stop before
 * all was sent. `onBytes` is told of each piece, in bytes.
 */
export async function readUpload(
  requests: AsyncIterable<UploadRequest__Output>,
  onBytes: (bytes: number) => void,
): Promise<{ readonly header: UploadHeader__Output; readonly data: AsyncIterable<Buffer> }> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  const header = first.done === true ? undefined : first.value.header;
  if (!header) throw new ShoalError('invalid', 'the first request of an upload must be the header');
  if (header.sha256 !== '' && !/^[0-9a-f]{64}$/.test(header.sha256)) {
    throw new ShoalError('invalid', `sha256 '${header.sha256.slice(0, 80)}' is not 64 lower-case hex digits`);
  }
  const isChecked = header.size !== undefined || header.sha256 !== '';
  async function* data(): AsyncGenerator<Buffer> {
    for (let item = await messages.next(); item.done !== true; item = await messages.next()) {
      if (item.value.end) {
        if ((await messages.next()).done === true) return;
        throw new ShoalError('invalid', 'an upload went on after it had said that all was sent');
      }
      if (!item.value.data) throw new ShoalError('invalid', 'a second header in one upload');
      const bytes = item.value.data as Buffer;
      onBytes(bytes.length);
      yield bytes;
    }
    // A client that died half-closes its stream like one that has finished.
    if (!isChecked)
      throw new ShoalError('invalid', 'the upload ended without saying that all was sent', {
        hint: 'end it with the message `end`, or tell size or sha256 in the header',
      });
  }
  return { header, data: data() };
}
