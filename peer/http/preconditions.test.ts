import { evaluatePreconditions, mayWrite, publishCondition, rangeApplies } from './preconditions.js';

const current = { etag: '"abc"', lastModifiedMs: Date.parse('2026-03-01T10:00:00.750Z') };
const AT = 'Sun, 01 Mar 2026 10:00:00 GMT';
const BEFORE = 'Sun, 01 Mar 2026 09:59:59 GMT';
const AFTER = 'Sun, 01 Mar 2026 10:00:01 GMT';

describe('preconditions of a read', () => {
  it.each([
    [{}, 'proceed'],
    [{ 'if-none-match': '"abc"' }, 'not_modified'],
    [{ 'if-none-match': 'W/"abc"' }, 'not_modified'],
    [{ 'if-none-match': '"x", "abc"' }, 'not_modified'],
    [{ 'if-none-match': '*' }, 'not_modified'],
    [{ 'if-none-match': '"x"' }, 'proceed'],
    [{ 'if-match': '"abc"' }, 'proceed'],
    [{ 'if-match': '*' }, 'proceed'],
    [{ 'if-match': 'W/"abc"' }, 'failed'],
    [{ 'if-match': '"x"' }, 'failed'],
    [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 'not_modified'],
    [{ 'if-modified-since': AT }, 'not_modified'],
    [{ 'if-modified-since': BEFORE }, 'proceed'],
    [{ 'if-modified-since': 'yesterday' }, 'proceed'],
    [{ 'if-none-match': '"x"', 'if-modified-since': AT }, 'proceed'],
    [{ 'if-unmodified-since': AT }, 'proceed'],
    [{ 'if-unmodified-since': BEFORE }, 'failed'],
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'proceed'],
  ] as const)('%o leads to %s', (headers, verdict) => {
    expect(evaluatePreconditions(headers, current)).toBe(verdict);
  });

  it('ignores dates when the file has none', () => {
    const undated = { etag: '"abc"', lastModifiedMs: undefined };
    expect(evaluatePreconditions({ 'if-modified-since': AFTER, 'if-unmodified-since': BEFORE }, undated)).toBe(
      'proceed',
    );
  });
});

describe('preconditions of a write', () => {
  it.each([
    [{}, '"abc"', true],
    [{ 'if-none-match': '*' }, undefined, true],
    [{ 'if-none-match': '*' }, '"abc"', false],
    [{ 'if-none-match': '"abc"' }, '"abc"', false],
    [{ 'if-none-match': '"x"' }, '"abc"', true],
    [{ 'if-match': '*' }, undefined, false],
    [{ 'if-match': '*' }, '"abc"', true],
    [{ 'if-match': '"x"' }, '"abc"', false],
  ] as const)('%o over %s: %s', (headers, etag, allowed) => {
    expect(mayWrite(headers, etag)).toBe(allowed);
  });
});

describe('what the index is asked to check of a PUT', () => {
  const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
  it.each([
    [{}, undefined],
    [{ 'if-none-match': '*' }, { ifNoneMatch: ['*'] }],
    [{ 'if-match': ' * ' }, { ifMatch: ['*'] }],
    [{ 'if-match': `"${A}", W/"${B}"` }, { ifMatch: [A] }],
    [{ 'if-none-match': `W/"${A}", "${B}"` }, { ifNoneMatch: [A, B] }],
    [{ 'if-match': '"not an id"' }, { ifMatch: [] }],
    [
      { 'if-match': `"${A}"`, 'if-none-match': `"${B}"` },
      { ifMatch: [A], ifNoneMatch: [B] },
    ],
  ])('%o: %o', (headers, condition) => {
    expect(publishCondition(headers)).toEqual(condition);
  });
});

describe('If-Range', () => {
  it.each([
    [undefined, true],
    ['"abc"', true],
    ['"x"', false],
    ['W/"abc"', false],
    [AT, true],
    [BEFORE, false],
    [AFTER, false],
    ['nonsense', false],
  ])('%s: %s', (header, applies) => {
    expect(rangeApplies(header, current)).toBe(applies);
  });
});
