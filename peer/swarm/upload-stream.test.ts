import type { UploadRequest__Output } from '../../proto/gen/shoal/peer/v1/UploadRequest.js';
import { readUpload } from './upload-stream.js';

const HEADER = { name: 'n', sha256: '', tags: {}, visibility: '', readers: [] };
const header = (more: object = {}): UploadRequest__Output => ({ header: { ...HEADER, ...more } });
const data = (text: string): UploadRequest__Output => ({ data: Buffer.from(text) });
const END: UploadRequest__Output = { end: {} };

/** What is read of these messages: the bytes, or the message of the error. */
async function read(...messages: UploadRequest__Output[]) {
  async function* requests() {
    yield* messages;
    await Promise.resolve();
  }
  const got: string[] = [];
  let bytes = 0;
  try {
    const upload = await readUpload(requests(), (more) => {
      bytes += more;
    });
    for await (const part of upload.data) got.push(part.toString());
    return { got, bytes, name: upload.header.name };
  } catch (error) {
    return { got, bytes, error };
  }
}

const invalid = (message: string) => ({ code: 'invalid', message: expect.stringContaining(message) });

describe('an upload', () => {
  it('is a header, bytes and an end', async () => {
    expect(await read(header(), data('abc'), data('de'), END)).toEqual({ got: ['abc', 'de'], bytes: 5, name: 'n' });
    expect(await read(header(), END)).toEqual({ got: [], bytes: 0, name: 'n' });
  });

  it.each([{ size: 3 }, { size: 0 }, { sha256: 'ab'.repeat(32) }])('needs no end with %j', async (more) => {
    expect(await read(header(more), data('abc'))).toMatchObject({ got: ['abc'], name: 'n' });
  });

  it.each([
    ['without a header', [data('abc'), END], 'the first request', []],
    ['without anything', [], 'the first request', []],
    ['with two headers', [header(), data('a'), header(), END], 'a second header', ['a']],
    ['with a digest that is none', [header({ sha256: 'ZZ' }), END], "'ZZ'", []],
    ['that was cut', [header(), data('abc')], 'all was sent', ['abc']],
    ['that goes on after its end', [header(), data('abc'), END, data('d')], 'went on', ['abc']],
  ])('%s is refused', async (_what, messages, message, got) => {
    expect(await read(...messages)).toMatchObject({ got, error: invalid(message) });
  });
});
