import fc from 'fast-check';
import { nameProblem } from '../../common/names.js';
import { nameOfTarget, refOfTarget, targetOfRef } from './ref-path.js';

const ID = 'ab'.repeat(32);

describe('the reference in a path', () => {
  it.each([
    ['/files/a.txt', 'a.txt'],
    [`/files/${ID}`, ID],
    ['/files/ann/models/v1.bin', 'ann/models/v1.bin'],
    ['/files/ann%2Fmodels%2Fv1.bin', 'ann/models/v1.bin'],
    ['/files/with%20space%3F%23.txt?x=1', 'with space?#.txt'],
    ['/files/na%C3%AFve/%E6%96%87%E4%BB%B6', 'naïve/文件'],
    ['/files/a+b', 'a+b'],
  ])('%s is %s', (target, ref) => {
    expect(refOfTarget(target)).toBe(ref);
  });

  it.each([
    '/files/',
    '/files/?a',
    '/files//etc/passwd',
    '/files/%2Fetc/passwd',
    '/files/a//b',
    '/files/a/',
    '/files/../secret',
    '/files/a/%2e%2e/b',
    '/files/a%00b',
    '/files/a%0Ab',
    '/files/%',
    '/files/%zz',
    '/files/%C3%28',
    `/files/${'x'.repeat(1025)}`,
    `/files/ann/${'x'.repeat(1025)}`,
    `/files/${'o'.repeat(65)}/${'x'.repeat(1024)}`,
    `/files/an%00n/${'x'.repeat(1024)}`,
  ])('%s is refused with a word about why', (target) => {
    expect(() => refOfTarget(target)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it('may be OWNER/NAME with the longest name', () => {
    expect(refOfTarget(`/files/ann/${'x'.repeat(1024)}`)).toHaveLength(1028);
  });

  it('is what the path was made from', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }).filter((text) => !nameProblem(text));
    fc.assert(
      fc.property(name, (ref) => {
        expect(refOfTarget(targetOfRef(ref))).toBe(ref);
      }),
    );
  });
});

describe('the name of a PUT', () => {
  it('is not an id', () => {
    expect(() => nameOfTarget(`/files/${ID}`)).toThrow('looks like a file id');
  });
});
