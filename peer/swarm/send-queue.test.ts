import fc from 'fast-check';
import { ChunkSet } from '../chunk-set.js';
import { SendQueue, SentCounts } from './send-queue.js';

describe('SendQueue', () => {
  it('sends what was asked by number first, in that order', () => {
    const queue = new SendQueue(ChunkSet.full(10), new ChunkSet(10), new SentCounts(10));
    queue.want([7, 3], 1);
    expect([queue.next(), queue.next(), queue.next(), queue.next()]).toEqual([7, 3, 0, undefined]);
  });

  it('says which chunks it cannot send, those outside the file too', () => {
    const held = new ChunkSet(4);
    held.add(1);
    const queue = new SendQueue(held, new ChunkSet(4), new SentCounts(4));
    expect(queue.want([0, 1, 9], 0)).toEqual([0, 9]);
    expect(queue.next()).toBe(1);
  });

  it('forgets what was cancelled', () => {
    const queue = new SendQueue(ChunkSet.full(4), new ChunkSet(4), new SentCounts(4));
    queue.want([1, 2], 2);
    queue.cancel([1], 2);
    expect([queue.next(), queue.next()]).toEqual([2, undefined]);
  });

  it('gives "any" requests back when the receiver has all that is held', () => {
    const queue = new SendQueue(ChunkSet.full(2), ChunkSet.full(2), new SentCounts(2));
    queue.want([], 3);
    expect(queue.next()).toBeUndefined();
    expect(queue.takeUnservable()).toBe(2);
    expect(queue.takeUnservable()).toBe(0);
  });

  it('sends every chunk once before it sends any twice, whoever asks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 2, max: 5 }),
        fc.array(fc.nat({ max: 4 }), { minLength: 60, maxLength: 60 }),
        (chunkCount, receivers, turns) => {
          const counts = new SentCounts(chunkCount);
          const held = ChunkSet.full(chunkCount);
          const queues = Array.from({ length: receivers }, () => new SendQueue(held, new ChunkSet(chunkCount), counts));
          const sent: number[] = [];
          for (const turn of turns) {
            const queue = queues[turn % receivers];
            queue?.want([], 1);
            const chunk = queue?.next();
            if (chunk !== undefined) sent.push(chunk);
          }
          const first = sent.slice(0, chunkCount);
          // A receiver that was sent everything gets nothing more, so fewer than all may have been sent.
          expect(new Set(first).size).toBe(Math.min(first.length, chunkCount));
        },
      ),
    );
  });

  it('never sends a receiver a chunk that it has', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 29 })), fc.nat({ max: 60 }), (has, any) => {
        const receiverHas = new ChunkSet(30);
        for (const chunk of has) receiverHas.add(chunk);
        const queue = new SendQueue(ChunkSet.full(30), receiverHas, new SentCounts(30));
        queue.want([], any);
        const sent: number[] = [];
        for (let chunk = queue.next(); chunk !== undefined; chunk = queue.next()) sent.push(chunk);
        expect(sent.filter((chunk) => has.includes(chunk))).toEqual([]);
        expect(sent).toHaveLength(Math.min(any, 30 - has.length));
      }),
    );
  });
});
