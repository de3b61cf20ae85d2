import type { RecordClaims } from '../index-server/api/statements.js';
import { LIMITS } from '../index-server/api/values.js';
import type { Signer } from '../index-server/signer.js';
import { claimsOf, isPublic, mergeRecord, recordsBeyond } from './records.js';
import { claimsFor, newSigner } from './testing/signatures.js';

const ID = 'cd'.repeat(32);
let signer: Signer;
beforeAll(async () => {
  signer = await newSigner();
});
const record = (given: Partial<RecordClaims>) => signer.record(claimsFor(ID, given));

test('a record says what was signed, whatever its letters', async () => {
  const name = 'ümlaut/文件 1.bin';
  expect(claimsOf(await record({ name }))).toEqual(claimsFor(ID, { name }));
});

test('a newer record takes the place of the older of the same name, and of no other', async () => {
  const old = await record({ tags: { a: '1' } });
  const others = [await record({ name: 'another' }), await record({ ownerId: 'u-bob', owner: 'bob' })];
  const newer = await record({ version: 2 });
  expect(mergeRecord([old, ...others], newer)).toEqual([...others, newer]);
  const changed = await record({ tags: { a: '2' } });
  expect(mergeRecord([old], changed)).toEqual([changed]);
});

test('of more names than are kept beside a file, the first go', async () => {
  const records: string[] = [];
  for (let n = 0; n < LIMITS.records; n += 1) records.push(await record({ name: `${n}` }));
  const added = await record({ name: 'one more' });
  expect(mergeRecord(records, added)).toEqual([...records.slice(1), added]);
});

test('an older record changes nothing', async () => {
  const kept = [await record({ version: 2 })];
  expect(mergeRecord(kept, await record({ version: 1 }))).toBe(kept);
});

test('of two records of one version the newer stays, whichever comes last', async () => {
  const [old, newer] = [await record({ revision: 1 }), await record({ revision: 2, visibility: 'private' })];
  expect(mergeRecord([old], newer)).toEqual([newer]);
  expect(mergeRecord([newer], old)).toEqual([newer]);
  expect(mergeRecord([await record({})], old)).toEqual([old]);
});

test('what others do not know is newer, or of another name', async () => {
  const [old, newer] = [await record({ revision: 1 }), await record({ revision: 2 })];
  const other = await record({ name: 'other' });
  expect(recordsBeyond([newer, other], [old])).toEqual([newer, other]);
  expect(recordsBeyond([old, other], [newer, other])).toEqual([]);
  expect(recordsBeyond([await record({ version: 1, revision: 9 })], [await record({ version: 2 })])).toEqual([]);
});

test('a file is public when one of its records says so', async () => {
  const secret = await record({ visibility: 'private' });
  expect(isPublic([])).toBe(false);
  expect(isPublic([secret])).toBe(false);
  expect(isPublic([secret, await record({ name: 'open' })])).toBe(true);
  expect(isPublic([await record({ kind: 'tombstone' })])).toBe(false);
});
