import { Gathered } from './gathered.js';

describe('gathered calls', () => {
  const jest = import.meta.jest;
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function doubling() {
    const batches: (readonly number[])[] = [];
    const gathered = new Gathered(
      async (items: readonly number[]) => {
        batches.push(items);
        if (items.includes(13)) throw new Error('unlucky');
        return items.map((item) => 2 * item);
      },
      { gatherMs: 20 },
    );
    return { batches, gathered };
  }

  test('go together when they come together, each with its own result', async () => {
    const { batches, gathered } = doubling();
    const first = [gathered.call(1), gathered.call(2)];
    await jest.advanceTimersByTimeAsync(19);
    first.push(gathered.call(3));
    expect(batches).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    const second = gathered.call(4);
    expect(await Promise.all(first)).toEqual([2, 4, 6]);
    await jest.advanceTimersByTimeAsync(20);
    expect(await second).toBe(8);
    expect(batches).toEqual([[1, 2, 3], [4]]);
  });

  test('fail together, and the next ones do not', async () => {
    const { gathered } = doubling();
    const results = Promise.allSettled([gathered.call(1), gathered.call(13)]);
    await jest.advanceTimersByTimeAsync(20);
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const next = gathered.call(5);
    await jest.advanceTimersByTimeAsync(20);
    expect(await next).toBe(10);
  });
});
