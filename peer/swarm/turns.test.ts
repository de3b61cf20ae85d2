import { Turns } from './turns.js';

const { jest } = import.meta;

describe('turns', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** Turns that note when they are taken, and the next of which is due after `dueMs`. */
  function noted(dueMs: number) {
    const takenMs: number[] = [];
    const turns = new Turns(() => {
      takenMs.push(Date.now() - beganMs);
      return dueMs;
    });
    const beganMs = Date.now();
    return { turns, takenMs };
  }

  it('come once for all that has happened', () => {
    const { turns, takenMs } = noted(Number.POSITIVE_INFINITY);
    turns.wake();
    turns.wake();
    expect(takenMs).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(takenMs).toHaveLength(1);
  });

  it.each([
    ['when something is due', 100, [0, 100, 200, 300]],
    ['now and then when nothing is', Number.POSITIVE_INFINITY, [0, 250]],
    ['no more often for what has long been due', -5, [0, 250]],
  ])('come by themselves %s', (_when, dueMs, expected) => {
    const { turns, takenMs } = noted(dueMs);
    turns.wake();
    jest.advanceTimersByTime(350);
    // Each is taken a moment after its timer, in the same millisecond or the next.
    expect(takenMs.map((ms) => Math.floor(ms / 10) * 10)).toEqual(expected);
  });

  it('come no more when they are stopped, in one of them or outside', () => {
    let count = 0;
    const turns = new Turns(() => {
      count += 1;
      if (count === 2) turns.stop();
      return 10;
    });
    turns.wake();
    jest.advanceTimersByTime(1_000);
    expect(count).toBe(2);
    const others = noted(10);
    others.turns.wake();
    others.turns.stop();
    others.turns.wake();
    jest.advanceTimersByTime(1_000);
    expect(others.takenMs).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
