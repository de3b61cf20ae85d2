import fc from 'fast-check';
import { ChunkSet } from '../chunk-set.js';
import { SendQueue, SentChunks } from './send-queue.js';

describe('SendQueue', () => {
  it('sends what was asked by number first, in that order', () => {
    const queue = new SendQueue(ChunkSet.full(10), new ChunkSet(10), new SentChunks(10));
    queue.want([7, 3], 1);
    expect([queue.next(), queue.next(), queue.next(), queue.next()]).toEqual([7, 3, 0, undefined]);
  });

  it('says which chunks it cannot send, those outside the file too', () => {
    const held = new ChunkSet(4);
    held.add(1);
    const queue = new SendQueue(held, new ChunkSet(4), new SentChunks(4));
    expect(queue.want([0, 1, 9], 0)).toEqual([0, 9]);
    expect(queue.next()).toBe(1);
  });

  it('does not send again by number what is on its way as "any", and owes another one for it', () => {
    const queue = new SendQueue(ChunkSet.full(4), new ChunkSet(4), new SentChunks(4));
    queue.want([], 1);
    expect(queue.next()).toBe(0);
    queue.want([0, 3], 0);
    expect([queue.next(), queue.next(), queue.next()]).toEqual([3, 1, undefined]);
  });

  it('sends again by number what could not be sent, or what the receiver had and lost', () => {
    const queue = new SendQueue(ChunkSet.full(4), new ChunkSet(4), new SentChunks(4));
    queue.want([], 2);
    expect([queue.next(), queue.next()]).toEqual([0, 1]);
    queue.notSent(0);
    queue.receiverGot([1]);
    queue.want([0, 1], 0);
    expect([queue.next(), queue.next(), queue.next()]).toEqual([0, 1, undefined]);
  });

  it('forgets what was cancelled', () => {
    const queue = new SendQueue(ChunkSet.full(4), new ChunkSet(4), new SentChunks(4));
    queue.want([1, 2], 2);
    queue.cancel([1], 2);
    expect([queue.next(), queue.next()]).toEqual([2, undefined]);
  });

  it('gives "any" requests back when the receiver has all that is held', () => {
    const queue = new SendQueue(ChunkSet.full(2), ChunkSet.full(2), new SentChunks(2));
    queue.want([], 3);
    expect(queue.next()).toBeUndefined();
    expect(queue.takeUnservable()).toBe(2);
    expect(queue.takeUnservable()).toBe(0);
  });

  it('refuses "any" requests when everything has been sent to somebody, and still sends by number', () => {
    const sent = new SentChunks(2);
    const [one, two] = [0, 1].map(() => new SendQueue(ChunkSet.full(2), new ChunkSet(2), sent));
    one?.want([], 2);
    expect([one?.next(), one?.next()]).toEqual([0, 1]);
    two?.want([1], 2);
    expect([two?.next(), two?.next()]).toEqual([1, undefined]);
    expect(two?.takeUnservable()).toBe(2);
  });

  it('sends no chunk twice to those who let it choose, whoever asks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 2, max: 5 }),
        fc.array(fc.nat({ max: 4 }), { minLength: 60, maxLength: 60 }),
        (chunkCount, receivers, turns) => {
          const already = new SentChunks(chunkCount);
          const held = ChunkSet.full(chunkCount);
          const queues = Array.from(
            { length: receivers },
            () => new SendQueue(held, new ChunkSet(chunkCount), already),
          );
          const sent: number[] = [];
          for (const turn of turns) {
            const queue = queues[turn % receivers];
            queue?.want([], 1);
            const chunk = queue?.next();
            if (chunk !== undefined) sent.push(chunk);
          }
          expect(new Set(sent).size).toBe(sent.length);
          expect(sent).toHaveLength(Math.min(turns.length, chunkCount));
        },
      ),
    );
  });

  it('never sends a receiver a chunk that it has', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 29 })), fc.nat({ max: 60 }), (has, any) => {
        const receiverHas = new ChunkSet(30);
        for (const chunk of has) receiverHas.add(chunk);
        const queue = new SendQueue(ChunkSet.full(30), receiverHas, new SentChunks(30));
        queue.want([], any);
        const sent: number[] = [];
        for (let chunk = queue.next(); chunk !== undefined; chunk = queue.next()) sent.push(chunk);
        expect(sent.filter((chunk) => has.includes(chunk))).toEqual([]);
        expect(sent).toHaveLength(Math.min(any, 30 - has.length));
      }),
    );
  });
});
