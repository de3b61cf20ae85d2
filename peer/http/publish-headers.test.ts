import { createHash } from 'node:crypto';
import { readPublishHeaders } from './publish-headers.js';

const DIGEST = createHash('sha256').update('x').digest();
const FIELD = `sha-256=:${DIGEST.toString('base64')}:`;

describe('the headers of a PUT', () => {
  it('say nothing by default', () => {
    expect(readPublishHeaders({})).toEqual({
      tags: {},
      visibility: 'public',
      readers: [],
      sha256: undefined,
      size: undefined,
    });
  });

  it('carry tags, repeated, in a list, and percent-encoded', () => {
    const { tags } = readPublishHeaders({
      'shoal-tag': 'team=ml, stage=prod,note=a%2Cb%20100%25,city=Z%C3%BCrich, empty=',
    });
    expect(tags).toEqual({ team: 'ml', stage: 'prod', note: 'a,b 100%', city: 'Zürich', empty: '' });
  });

  it('make a file private when they share it', () => {
    expect(readPublishHeaders({ 'shoal-share': 'ann, bob,ann' })).toMatchObject({
      visibility: 'private',
      readers: ['ann', 'bob'],
    });
  });

  it.each([
    { 'content-digest': FIELD },
    { 'repr-digest': `sha-512=:AAAA:, ${FIELD}` },
    { 'content-digest': FIELD, 'repr-digest': FIELD },
  ])('carry a digest: %o', (headers) => {
    expect(readPublishHeaders(headers).sha256).toBe(DIGEST.toString('hex'));
  });

  it.each([
    [{ 'shoal-tag': 'team' }, 'team'],
    [{ 'shoal-tag': '=x' }, '=x'],
    [{ 'shoal-tag': 'rate=50%' }, 'rate=50%'],
    [{ 'shoal-tag': 'city=ZÃ¼rich' }, 'percent-encod'],
    [{ 'shoal-tag': 'bad key=x' }, 'bad key'],
    [{ 'shoal-tag': '__proto__=x' }, '__proto__'],
    [{ 'shoal-tag': Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(',') }, '32'],
    [{ 'shoal-visibility': 'secret' }, 'secret'],
    [{ 'shoal-visibility': 'public', 'shoal-share': 'ann' }, 'public'],
    [{ 'shoal-share': 'not a user' }, 'not a user'],
    [{ 'content-digest': 'sha-256=:AAAA:' }, 'sha-256=:AAAA:'],
    [{ 'content-digest': FIELD, 'repr-digest': `sha-256=:${Buffer.alloc(32).toString('base64')}:` }, 'contradict'],
    [{ 'content-range': 'bytes 0-1/2' }, 'Content-Range'],
    [{ 'content-encoding': 'gzip' }, 'gzip'],
  ])('%o is refused, naming %s', (headers, named) => {
    expect(() => readPublishHeaders(headers)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(named) }),
    );
  });
});
