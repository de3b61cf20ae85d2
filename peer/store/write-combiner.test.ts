import fc from 'fast-check';
import { WriteCombiner, WriteSlots } from './write-combiner.js';

/** A file in memory whose writes end when they are told to. */
class Slow {
  readonly bytes = Buffer.alloc(64);
  readonly writes: { position: number; length: number; end: (error?: Error) => void }[] = [];

  readonly write = (pieces: readonly Buffer[], position: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const data = Buffer.concat(pieces);
      this.writes.push({
        position,
        length: data.length,
        end: (error) => {
          if (error !== undefined) {
            reject(error);
            return;
          }
          data.copy(this.bytes, position);
          resolve();
        },
      });
    });

  /** Ends the write that began longest ago, and lets what waited for it go on. */
  async end(error?: Error): Promise<void> {
    this.writes.shift()?.end(error);
    await new Promise(setImmediate);
  }
}

function setUp(atOnce: number, maxBytes = 64, slots = new WriteSlots(atOnce)) {
  const file = new Slow();
  return { file, combiner: new WriteCombiner({ write: file.write, slots }, { atOnce, maxBytes }) };
}

const piece = (length: number, value = 1) => [Buffer.alloc(length, value)];

it('writes at once what comes when nothing is being written', () => {
  const { file, combiner } = setUp(2);
  void combiner.write(piece(4), 8);
  void combiner.write(piece(4), 12);
  expect(file.writes).toMatchObject([
    { position: 8, length: 4 },
    { position: 12, length: 4 },
  ]);
});

it('puts together what lies side by side and waits', async () => {
  const { file, combiner } = setUp(1);
  void combiner.write(piece(4), 0);
  for (const position of [20, 8, 16, 12]) void combiner.write(piece(4), position);
  await file.end();
  expect(file.writes).toMatchObject([{ position: 20, length: 4 }]);
  await file.end();
  expect(file.writes).toMatchObject([{ position: 8, length: 12 }]);
});

it('puts no more together than it may', async () => {
  const { file, combiner } = setUp(1, 8);
  void combiner.write(piece(4), 0);
  for (const position of [4, 8, 12]) void combiner.write(piece(4), position);
  await file.end();
  expect(file.writes).toMatchObject([{ position: 4, length: 8 }]);
  await file.end();
  expect(file.writes).toMatchObject([{ position: 12, length: 4 }]);
});

it('writes a piece that is larger than that by itself', async () => {
  const { file, combiner } = setUp(1, 8);
  void combiner.write(piece(20), 0);
  expect(file.writes).toMatchObject([{ position: 0, length: 20 }]);
  await file.end();
});

it('tells a failure to all that were part of the write, and to nobody else', async () => {
  const { file, combiner } = setUp(1);
  const first = combiner.write(piece(4), 0);
  const outcomes = Promise.allSettled([
    combiner.write(piece(4), 8),
    combiner.write(piece(4), 12),
    combiner.write(piece(4), 20),
  ]);
  await file.end();
  await first;
  await file.end(new Error('no space'));
  await file.end();
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});

it('writes one place twice, in order', async () => {
  const { file, combiner } = setUp(1);
  void combiner.write(piece(4, 9), 4);
  const writes = [combiner.write(piece(4, 1), 0), combiner.write(piece(4, 2), 0)];
  while (file.writes.length > 0) await file.end();
  await Promise.all(writes);
  expect(file.bytes[0]).toBe(2);
});

it('lets files take turns when fewer writes may go on than there are files, and writes more at once then', async () => {
  const slots = new WriteSlots(2);
  const files = [1, 2, 3].map(() => setUp(2, 64, slots));
  const writes = [0, 4, 8].flatMap((position) => files.map(({ combiner }) => combiner.write(piece(4), position)));
  const underWay = () => files.map(({ file }) => file.writes.map(({ length }) => length));
  expect(underWay()).toEqual([[4], [4], []]);
  await files[0]?.file.end();
  expect(underWay()).toEqual([[], [4], [12]]);
  await files[1]?.file.end();
  expect(underWay()).toEqual([[8], [], [12]]);
  await files[2]?.file.end();
  expect(underWay()).toEqual([[8], [8], []]);
  for (const { file } of files) await file.end();
  await Promise.all(writes);
});

it('has a slot for others when a write fails', async () => {
  const slots = new WriteSlots(1);
  const [bad, good] = [setUp(2, 64, slots), setUp(2, 64, slots)];
  const failure = bad.combiner.write(piece(4), 0).catch((error: Error) => error.message);
  const write = good.combiner.write(piece(4), 0);
  await bad.file.end(new Error('no space'));
  expect(await failure).toBe('no space');
  await good.file.end();
  await write;
});

it('writes all of whatever comes, wherever it lies', async () => {
  const place = fc.record({ at: fc.nat({ max: 15 }), end: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(place, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), async (places, atOnce) => {
      const { file, combiner } = setUp(atOnce, 12);
      const expected = Buffer.alloc(64);
      const writes: Promise<void>[] = [];
      for (const { at, end } of places) {
        // As in a store, a place always gets the same bytes.
        expected.fill(at + 1, at * 4, at * 4 + 4);
        writes.push(combiner.write(piece(4, at + 1), at * 4));
        if (end) await file.end();
      }
      while (file.writes.length > 0) await file.end();
      await Promise.all(writes);
      expect(file.bytes).toEqual(expected);
    }),
  );
});
