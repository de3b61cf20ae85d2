import fc from 'fast-check';
import { ChunkSet } from './chunk-set.js';

const SIZE = fc.integer({ min: 0, max: 70 });

function modelled(size: number, members: readonly number[]): { set: ChunkSet; model: Set<number> } {
  const set = new ChunkSet(size);
  const model = new Set<number>();
  for (const member of members.filter((index) => index < size)) {
    expect(set.add(member)).toBe(!model.has(member));
    model.add(member);
  }
  return { set, model };
}

describe('ChunkSet', () => {
  it('does what a set of numbers does', () => {
    const operation = fc.tuple(fc.constantFrom('add', 'delete', 'has'), fc.nat({ max: 70 }));
    fc.assert(
      fc.property(SIZE, fc.array(operation, { maxLength: 200 }), (size, operations) => {
        const { set, model } = modelled(size, []);
        for (const [kind, index] of operations.filter(([, at]) => at < size)) {
          if (kind === 'add') expect(set.add(index)).toBe(!model.has(index) && model.add(index) === model);
          if (kind === 'delete') expect(set.delete(index)).toBe(model.delete(index));
          expect(set.has(index)).toBe(model.has(index));
          expect(set.count).toBe(model.size);
          expect(set.isFull).toBe(model.size === size);
        }
        const members = [...model].sort((a, b) => a - b);
        expect([...set]).toEqual(members);
        expect([...set.missing()]).toEqual(Array.from({ length: size }, (_, i) => i).filter((i) => !model.has(i)));
      }),
    );
  });

  it('comes back from its bytes, also when zero bytes at their end are left out', () => {
    fc.assert(
      fc.property(SIZE, fc.array(fc.nat({ max: 70 })), (size, members) => {
        const { set } = modelled(size, members);
        const bytes = set.toBytes();
        expect(bytes.length).toBe(Math.ceil(size / 8));
        let end = bytes.length;
        while (end > 0 && bytes[end - 1] === 0) end -= 1;
        for (const form of [bytes, bytes.subarray(0, end)]) {
          const back = ChunkSet.fromBytes(form, size);
          expect([...back]).toEqual([...set]);
          expect(back.count).toBe(set.count);
        }
      }),
    );
  });

  it('puts chunk 0 into the least significant bit', () => {
    const { set } = modelled(10, [0, 9]);
    expect(set.toBytes()).toEqual(Buffer.of(0b00000001, 0b00000010));
  });

  it('refuses bytes that name chunks which the file has not', () => {
    expect(() => ChunkSet.fromBytes(Buffer.of(0, 0b100), 10)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => ChunkSet.fromBytes(Buffer.of(0, 0, 0), 10)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => ChunkSet.fromBytes(Buffer.of(0), 0)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it.each([-1, 10, 0.5, Number.NaN])('has no chunk %d of ten, and takes none in', (index) => {
    const set = ChunkSet.full(10);
    expect(set.has(index)).toBe(false);
    expect(set.delete(index)).toBe(false);
    expect(() => set.add(index)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it('is full from the start when the file has no chunks', () => {
    expect(new ChunkSet(0).isFull).toBe(true);
  });

  it('knows all chunks when it is made full', () => {
    fc.assert(
      fc.property(SIZE, (size) => {
        const set = ChunkSet.full(size);
        expect(set.isFull).toBe(true);
        expect([...set].length).toBe(size);
        expect(ChunkSet.fromBytes(set.toBytes(), size).isFull).toBe(true);
      }),
    );
  });

  it('may be changed while it is iterated', () => {
    const set = ChunkSet.full(20);
    for (const index of set) set.delete(index + 1);
    expect([...set]).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  });
});
