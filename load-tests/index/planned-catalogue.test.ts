import fc from 'fast-check';
import { nameProblem } from '../../common/names.js';
import { recordClaimsSchema } from '../../index-server/api/statements.js';
import { wordsOf } from '../../index-server/search-words.js';
import { animalOf, filesHeldBy, isPublic, nameOf, plannedFile, projectPrefix } from './planned-catalogue.js';
import { publicFile } from './questions.js';

const number = fc.nat(10_000_000);

test('plans files that the index could have signed', () => {
  fc.assert(
    fc.property(number, (file) => {
      const planned = plannedFile(file);
      expect(recordClaimsSchema.parse(planned)).toEqual(planned);
      expect(nameProblem(planned.name)).toBeUndefined();
      expect(planned.chunks).toBe(Math.ceil(planned.size / planned.chunkSize));
    }),
  );
});

test('gives each file a name and an id of its own, and the words by which it is searched', () => {
  const files = Array.from({ length: 5000 }, (_, file) => plannedFile(file));
  expect(new Set(files.map(({ name }) => name)).size).toBe(5000);
  expect(new Set(files.map(({ id }) => id)).size).toBe(5000);
  fc.assert(
    fc.property(number, (file) => {
      expect(nameOf(file).startsWith(projectPrefix(file))).toBe(true);
      expect(wordsOf(nameOf(file))).toContain(animalOf(file));
    }),
  );
});

test('hides one file in ten, and asks about none of those', () => {
  expect(Array.from({ length: 1000 }, (_, file) => isPublic(file)).filter((is) => !is)).toHaveLength(100);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (files, random) => {
        const file = publicFile(files, random);
        expect(isPublic(file)).toBe(true);
        expect(file).toBeGreaterThanOrEqual(0);
        expect(file).toBeLessThan(files);
      },
    ),
  );
});

test('gives each file a holder, and one of them all', () => {
  const swarm = { files: 103, peers: 7 };
  const held = Array.from({ length: swarm.peers }, (_, peer) => filesHeldBy(peer, swarm));
  const holders = (file: number) => held.filter((files) => files.includes(file)).length;
  expect(holders(0)).toBe(7);
  for (let file = 1; file < swarm.files; file += 1) expect(holders(file)).toBe(1);
  expect(held.flat().length).toBe(7 + 102);
});
