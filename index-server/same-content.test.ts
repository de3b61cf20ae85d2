import { recordsRevision } from './api/peers.js';
import { LIMITS } from './api/values.js';
import type { Catalog } from './catalog.js';
import { idOf, TestIndex, type TestPeer } from './testing/test-index.js';

/** A catalog that tells how many rows each of its answers has. */
function countingRows(plain: Catalog, count: (rows: number) => void): Catalog {
  return new Proxy(plain, {
    get(target, name: keyof Catalog) {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        const result = await method.apply(target, args);
        if (Array.isArray(result)) count(result.length);
        return result;
      };
    },
  });
}

describe('content that goes by many names', () => {
  const NAMES = 150;
  const content = 'the same';
  let index: TestIndex;
  let one: TestPeer;
  /** Rows in the longest answer of the catalog. Not their sum: the index looks after copies at any time. */
  let longest = 0;

  const during = async (work: () => Promise<unknown>) => {
    longest = 0;
    await work();
    return longest;
  };

  beforeAll(async () => {
    index = await TestIndex.start({
      wrap: (plain) =>
        countingRows(plain, (told) => {
          longest = Math.max(longest, told);
        }),
    });
    one = await index.peer('p1');
    await one.publish('name 0', { content });
    const [row] = await index.catalog.allVersionsWithId(idOf(content), 1);
    if (row === undefined) throw new Error('what was published is not there');
    // All in one go: published one by one they would keep the disk busy for long.
    const others = Array.from({ length: NAMES - 1 }, (_, n) => ({ ...row, name: `name ${n + 1}`, record: `${n + 1}` }));
    await index.catalog.restore(others);
  });
  afterAll(() => index.stop());

  test('is published, located, changed and looked after without a look at all of them', async () => {
    const few = 20;
    expect(await during(() => one.publish(`name ${NAMES - 1}`, { content, tags: { a: '1' } }))).toBeLessThan(few);
    expect(await during(() => index.client.locate(one.auth, { ref: idOf(content) }))).toBeLessThan(few);
    expect(await during(() => index.client.patch(one.auth, 'name 7', { replicas: 2 }))).toBeLessThan(few);
  });

  test('has a bounded number of records kept beside it, and they come to rest', async () => {
    await one.publish('one more', { content });
    const [order] = (await one.beat()).orders;
    if (order?.do !== 'update') throw new Error('the holder was not told of the change');
    expect(order).toMatchObject({ id: idOf(content), records: { length: LIMITS.records } });
    const held = [{ id: idOf(content), complete: true, revision: recordsRevision(order.records) }];
    await one.announce({ held });
    expect((await one.beat()).orders).toEqual([]);
    await one.announce({ held: [{ ...held[0], id: idOf(content), complete: true, revision: 'another' }] });
    expect((await one.beat()).orders).toHaveLength(1);
  });

  test('wants as many copies as the name that wants the most', async () => {
    await one.publish('well kept', { content, replicas: 2 });
    const two = await index.peer('p2');
    await one.publish('name 1', { content });
    const orders = (await two.beat()).orders.filter((order) => order.do === 'replicate');
    expect(orders).toMatchObject([{ id: idOf(content), records: { length: LIMITS.records } }]);
  });

  test('is not removed by id while it is not clear which name is meant', async () => {
    await expect(index.client.remove(one.auth, idOf(content))).rejects.toMatchObject({ code: 'conflict' });
  });
});
