import { nextRevision, revisionOf } from './record-revision.js';

const recordOf = (claims: unknown) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

test('a revision is read from a record, and is 0 where there is none', () => {
  expect(revisionOf(recordOf({ revision: 7 }))).toBe(7);
  for (const record of ['', 'nonsense', 'a.b.c', recordOf({}), recordOf(null), recordOf({ revision: '7' })]) {
    expect(revisionOf(record)).toBe(0);
  }
});

test('the next revision is the time, and never below the one before', () => {
  expect(nextRevision(5, undefined)).toBe(5);
  expect(nextRevision(5, recordOf({ revision: 3 }))).toBe(5);
  expect(nextRevision(5, recordOf({ revision: 9 }))).toBe(10);
});
