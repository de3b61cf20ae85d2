import fc from 'fast-check';
import { BufferPool } from './buffer-pool.js';

const KIB = 1024;
const SIZE = 64 * KIB;

it('lends the same memory again, at the length that is asked for', () => {
  const pool = new BufferPool({ keepBytes: 1 << 20 });
  const first = pool.take(SIZE);
  expect(first).toHaveLength(SIZE);
  pool.give(first);
  const second = pool.take(SIZE - 1000);
  expect(second.buffer).toBe(first.buffer);
  expect(second).toHaveLength(SIZE - 1000);
});

it('takes back by any part, once', () => {
  const pool = new BufferPool({ keepBytes: 1 << 20 });
  const lent = pool.take(SIZE);
  pool.give(lent.subarray(100, 200));
  pool.give(lent);
  pool.give(lent.subarray(5));
  const [one, other] = [pool.take(SIZE), pool.take(SIZE)];
  expect(one.buffer).toBe(lent.buffer);
  expect(other.buffer).not.toBe(lent.buffer);
});

it('leaves alone what is not from here', () => {
  const pool = new BufferPool({ keepBytes: 1 << 20 });
  const foreign = [
    Buffer.allocUnsafeSlow(SIZE),
    Buffer.alloc(SIZE),
    Buffer.from('from the pool of Node'),
    Buffer.from(new SharedArrayBuffer(SIZE)),
    new BufferPool({ keepBytes: 1 << 20 }).take(SIZE),
  ];
  for (const buffer of foreign) pool.give(buffer);
  const taken = pool.take(SIZE);
  expect(foreign.map(({ buffer }) => buffer)).not.toContain(taken.buffer);
});

it('lends small ones from the pool of Node, and does not take those back', () => {
  const pool = new BufferPool({ keepBytes: 1 << 20 });
  const small = pool.take(100);
  expect(small).toHaveLength(100);
  pool.give(small);
  expect(pool.take(0)).toHaveLength(0);
  expect(pool.take(100).byteOffset).not.toBe(small.byteOffset);
});

/** Which of these buffers' memory the pool lends again, asked for as many of that size. */
function kept(pool: BufferPool, buffers: readonly Buffer[]): number {
  const again = new Set(buffers.map(({ length }) => pool.take(length).buffer));
  return buffers.filter(({ buffer }) => again.has(buffer)).length;
}

function lend(pool: BufferPool, size: number, count: number): Buffer[] {
  return Array.from({ length: count }, () => pool.take(size));
}

it('keeps no more than it may', () => {
  const pool = new BufferPool({ keepBytes: 4 * SIZE });
  const lent = lend(pool, SIZE, 6);
  for (const buffer of lent) pool.give(buffer);
  expect(kept(pool, lent)).toBe(4);
});

it('keeps nothing of what is larger than all it may keep', () => {
  const pool = new BufferPool({ keepBytes: SIZE });
  const small = pool.take(SIZE);
  const large = pool.take(2 * SIZE);
  pool.give(small);
  pool.give(large);
  expect(kept(pool, [large])).toBe(0);
  expect(kept(pool, [small])).toBe(1);
});

it('lets sizes go that are of no use any more, in favour of those that are', () => {
  const pool = new BufferPool({ keepBytes: 4 * SIZE });
  const old = lend(pool, SIZE, 4);
  for (const buffer of old) pool.give(buffer);
  const recent = lend(pool, 2 * SIZE, 2);
  for (const buffer of recent) pool.give(buffer);
  expect(kept(pool, recent)).toBe(2);
  expect(kept(pool, old)).toBe(0);
});

it('never lends the same memory to two, whatever is taken and given', () => {
  const anyStep = fc.oneof(
    fc.record({ take: fc.integer({ min: 0, max: 300 * KIB }) }),
    fc.record({ give: fc.nat(30) }),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const pool = new BufferPool({ keepBytes: 512 * KIB });
      const lent: Buffer[] = [];
      for (const step of steps) {
        if ('take' in step) {
          const buffer = pool.take(step.take);
          expect(buffer).toHaveLength(step.take);
          buffer.fill(lent.length);
          lent.push(buffer);
        } else {
          const at = step.give % Math.max(1, lent.length);
          for (const buffer of lent.splice(at, 1)) pool.give(buffer);
        }
        const large = lent.filter(({ length }) => length >= 32 * KIB).map(({ buffer }) => buffer);
        expect(new Set(large).size).toBe(large.length);
      }
    }),
  );
});
