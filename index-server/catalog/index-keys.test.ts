import fc from 'fast-check';
import { fileRow } from '../testing/catalog-rows.js';
import {
  audienceOf,
  audiencesOf,
  compareBytes,
  type PlaceRange,
  placeOf,
  placesOfName,
  placesOfPrefix,
} from './index-keys.js';

/** Names as they may be: well formed, without control characters. */
const names = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.string({ unit: fc.constantFrom('a', 'b', '\ud7ff', '\ue000', '\u{10ffff}', '\u{10fffe}') }),
  )
  .filter((name) => !/\p{Cc}/u.test(name) && name !== '');

function isIn(place: string, range: PlaceRange | undefined): boolean {
  if (range === undefined) return false;
  return compareBytes(place, range.from) >= 0 && (range.to === undefined || compareBytes(place, range.to) < 0);
}

test('the places of a prefix are those of the names that begin with it', () => {
  const prefixOfName = names.chain((name) =>
    fc.nat([...name].length).map((length) => [...name].slice(0, length).join('')),
  );
  fc.assert(
    fc.property(names, fc.oneof(names, prefixOfName), (name, prefix) => {
      expect(isIn(placeOf(fileRow({ name })), placesOfPrefix(prefix))).toBe(name.startsWith(prefix));
      expect(isIn(placeOf(fileRow({ name: prefix + name })), placesOfPrefix(prefix))).toBe(true);
    }),
  );
});

test('the places of a name are its own alone', () => {
  fc.assert(
    fc.property(names, names, (name, other) => {
      expect(isIn(placeOf(fileRow({ name })), placesOfName(name))).toBe(true);
      expect(isIn(placeOf(fileRow({ name: other })), placesOfName(name))).toBe(name === other);
      expect(isIn(placeOf(fileRow({ name: name + other })), placesOfName(name))).toBe(false);
    }),
  );
});

test('places are in byte order of name, then owner', () => {
  fc.assert(
    fc.property(
      names,
      names,
      fc.constantFrom('a', 'b'),
      fc.constantFrom('a', 'b'),
      (name, other, owner, otherOwner) => {
        const expected = compareBytes(name, other) || compareBytes(owner, otherOwner);
        const places = compareBytes(
          placeOf(fileRow({ name, owner })),
          placeOf(fileRow({ name: other, owner: otherOwner })),
        );
        expect(Math.sign(places)).toBe(Math.sign(expected));
      },
    ),
  );
});

test('the order of strings is that of their UTF-8', () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(Math.sign(compareBytes(a + b, a))).toBe(1);
    }),
  );
});

test('a reader looks where the files are that it may read, and nowhere else', () => {
  const people = fc.constantFrom('ann', 'bob', 'eve');
  const rows = fc.record({
    ownerId: people,
    visibility: fc.constantFrom('public' as const, 'private' as const),
    readers: fc.array(people),
  });
  fc.assert(
    fc.property(rows, people, (given, userId) => {
      const row = fileRow({ ...given, readers: given.visibility === 'public' ? [] : given.readers });
      const shared = audienceOf(row).filter((audience) => audiencesOf({ userId }).includes(audience));
      const mayRead = row.visibility === 'public' || row.ownerId === userId || row.readers.includes(userId);
      // Once at the most: a file found under two keys would be listed twice.
      expect(shared).toHaveLength(Number(mayRead));
    }),
  );
});
