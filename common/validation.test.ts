import { z } from 'zod';
import { registerBodySchema } from '../index-server/api/accounts.js';
import { listQuerySchema, patchBodySchema, publishBodySchema, searchQuerySchema } from '../index-server/api/files.js';
import { checkInput, type InputPlace } from './validation.js';

function sentences(schema: z.ZodType, value: unknown, place: InputPlace = 'body'): readonly string[] {
  const checked = checkInput(schema, value, place);
  return checked.ok ? [] : checked.faults.map(({ sentence }) => sentence);
}

test.each<[z.ZodType, unknown, InputPlace, string]>([
  [registerBodySchema, { username: 'al', password: 'short' }, 'body', 'password must have at least 8 characters'],
  [registerBodySchema, { username: 'al' }, 'body', 'password is missing'],
  [registerBodySchema, { username: 7, password: 'long enough' }, 'body', 'username must be a string'],
  [registerBodySchema, { username: 'we ird', password: 'long enough' }, 'body', "username 'we ird' must be 1 to 64"],
  [registerBodySchema, 'x', 'body', 'the body must be a JSON object'],
  [registerBodySchema, null, 'body', 'the body must be a JSON object'],
  [listQuerySchema, { tag: 'nokey' }, 'query', "tag 'nokey' is not KEY=VALUE"],
  [listQuerySchema, { tag: ['a=b', 'nokey'] }, 'query', "tag[1] 'nokey' is not KEY=VALUE"],
  [listQuerySchema, { limit: '0' }, 'query', "limit '0' must be at least 1"],
  [listQuerySchema, { limit: 'ten' }, 'query', "limit 'ten' must be a number"],
  [listQuerySchema, { limit: '1.5' }, 'query', "limit '1.5' must be a whole number"],
  [listQuerySchema, { page: 'x'.repeat(5000) }, 'query', 'page must have at most 4096 characters'],
  [searchQuerySchema, { text: '' }, 'query', 'text is empty'],
  [searchQuerySchema, {}, 'query', 'text is missing'],
  [patchBodySchema, { colour: 1 }, 'body', 'the body has members that are not known here: colour'],
  [patchBodySchema, { visibility: 'x' }, 'body', "visibility 'x' must be 'public' or 'private'"],
  [patchBodySchema, { tags: { '': 'x' } }, 'body', 'tags. has a key that must be 1 to 63'],
  [patchBodySchema, { tags: { a: 1 } }, 'body', 'tags.a must be a string'],
  [patchBodySchema, { addReaders: ['a b'] }, 'body', "addReaders[0] 'a b' must be 1 to 64"],
  [publishBodySchema.pick({ name: true }), { name: 'a/../b' }, 'body', "name 'a/../b' has a '.' or '..' segment"],
  [z.object({ at: z.iso.datetime() }), { at: 'x' }, 'body', 'at must be a time such as'],
])('%# tells which input is wrong and how', (schema, value, place, expected) => {
  const [first] = sentences(schema, value, place);
  expect(first).toContain(expected);
  expect(first).not.toMatch(/^(body|query)\.|Invalid|expected/);
});

test('never repeats what may be a secret', () => {
  const schema = z.object({ password: z.string().max(3), token: z.literal('x'), records: z.array(z.string().max(1)) });
  const told = sentences(schema, { password: 'hunter2', token: 'hunter2', records: ['hunter2'] });
  expect(told).toHaveLength(3);
  expect(told.join()).not.toContain('hunter2');
});

test('keeps the exact path', () => {
  const checked = checkInput(listQuerySchema, { limit: '0' }, 'query');
  expect(checked).toMatchObject({ ok: false, faults: [{ path: 'query.limit', message: 'must be at least 1' }] });
});
