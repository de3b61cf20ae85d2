import fc from 'fast-check';
import { decodePageToken, encodePageToken } from './page-token.js';

const positions = fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.maxSafeInteger()), { maxLength: 3 });
const refused = expect.objectContaining({ code: 'invalid' });

test('gives back the position to the same query', () => {
  fc.assert(
    fc.property(fc.string(), positions, (query, position) => {
      expect(decodePageToken(query, encodePageToken(query, position))).toEqual(position);
    }),
  );
});

test('is made of characters that need no quoting in a URL', () => {
  fc.assert(
    fc.property(fc.string(), positions, (query, position) => {
      expect(encodePageToken(query, position)).toMatch(/^[A-Za-z0-9_-]+$/);
    }),
  );
});

test('fits a request for the longest name', () => {
  const place = `${'\u{1f40b}'.repeat(256)}\u0001${'o'.repeat(64)}\u0001${'i'.repeat(64)}`;
  expect(encodePageToken('list', [place, Number.MAX_SAFE_INTEGER]).length).toBeLessThan(4096);
});

test('is refused by another query', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), positions, (query, other, position) => {
      fc.pre(query !== other);
      const token = encodePageToken(query, position);
      expect(() => decodePageToken(other, token)).toThrow(refused);
    }),
  );
});

test('is refused when anything in it was changed', () => {
  const changes = fc.record({
    query: fc.string(),
    position: positions,
    at: fc.nat(),
    by: fc.constantFrom('A', '_', '=', '', ' ', 'é'),
  });
  fc.assert(
    fc.property(changes, ({ query, position, at, by }) => {
      const token = encodePageToken(query, position);
      const cut = at % token.length;
      const changed = token.slice(0, cut) + by + token.slice(cut + 1);
      fc.pre(changed !== token);
      expect(() => decodePageToken(query, changed)).toThrow(refused);
    }),
  );
});

test('refuses whatever else it is given', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String()), (token) => {
      expect(() => decodePageToken('query', token)).toThrow(refused);
    }),
  );
});
