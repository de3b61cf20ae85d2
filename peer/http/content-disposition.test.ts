import { validateHeaderValue } from 'node:http';
import fc from 'fast-check';
import { attachment } from './content-disposition.js';

describe('Content-Disposition', () => {
  it.each([
    ['a/b/model.bin', 'attachment; filename="model.bin"; filename*=UTF-8\'\'model.bin'],
    ['na"ïve 50%.txt', 'attachment; filename="na__ve 50_.txt"; filename*=UTF-8\'\'na%22%C3%AFve%2050%25.txt'],
    ["it's (1)*", "attachment; filename=\"it's (1)*\"; filename*=UTF-8''it%27s%20%281%29%2A"],
  ])('saves %s under its last part', (name, header) => {
    expect(attachment(name)).toBe(header);
  });

  it('is a valid header that gives the name back, whatever the name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const header = attachment(name);
        validateHeaderValue('Content-Disposition', header);
        const value = header.slice(header.indexOf("''") + 2);
        expect(decodeURIComponent(value)).toBe(name.slice(name.lastIndexOf('/') + 1).toWellFormed());
      }),
    );
  });
});
