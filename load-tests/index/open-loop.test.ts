import fc from 'fast-check';
import { dueAt, runOpenLoop } from './open-loop.js';

const signal = new AbortController().signal;

describe('dueAt', () => {
  test('has the first request due at once, and each one a period after the one before', () => {
    const plan = { rate: 500, total: 1000 };
    expect([0, 1.9, 2, 3.9, 4].map((ms) => dueAt(ms, plan))).toEqual([1, 1, 2, 2, 3]);
  });

  test('never has more due than there are', () => {
    expect(dueAt(60_000, { rate: 500, total: 10 })).toBe(10);
  });

  test('neither loses nor repeats a request, however late it is looked', () => {
    const delays = fc.array(fc.double({ min: 0, max: 500, noNaN: true }));
    fc.assert(
      fc.property(delays, fc.integer({ min: 1, max: 5000 }), (steps, rate) => {
        let now = 0;
        let before = 0;
        for (const step of steps) {
          now += step;
          const due = dueAt(now, { rate, total: Number.MAX_SAFE_INTEGER });
          expect(due).toBeGreaterThanOrEqual(before);
          // Due since the last look: those whose time lies in between, give or take the one on the edge.
          expect(Math.abs(due - before - (step * rate) / 1000)).toBeLessThanOrEqual(1 + 1e-6);
          before = Math.max(due, 1);
        }
      }),
    );
  });
});

describe('runOpenLoop', () => {
  test('sends every request once and counts what came back', async () => {
    const sent: number[] = [];
    const send = async (number: number) => {
      sent.push(number);
      return number;
    };
    const figures = await runOpenLoop(send, { rate: 1000, seconds: 0.05, signal });
    expect(sent).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(figures).toMatchObject({ count: 50, answerBytes: 24.5 });
  });

  test('does not wait for an answer before it asks again, and counts the time from when a request was due', async () => {
    let open = 0;
    let most = 0;
    const answers: (() => void)[] = [];
    const send = async () => {
      most = Math.max(most, ++open);
      if (open === 20) for (const answer of answers) answer();
      else await new Promise<void>((resolve) => answers.push(resolve));
      return 0;
    };
    const { max } = await runOpenLoop(send, { rate: 1000, seconds: 0.02, signal });
    expect(most).toBe(20);
    // The first one was due 19 ms before the last, which let all of them go.
    expect(max).toBeGreaterThanOrEqual(19);
  });

  test('fails when a request does', async () => {
    const cause = new Error('refused');
    const send = () => Promise.reject(cause);
    await expect(runOpenLoop(send, { rate: 1000, seconds: 1, signal })).rejects.toMatchObject({ cause });
  });

  test('ends when it is told to', async () => {
    const reason = new Error('enough');
    const aborted = AbortSignal.abort(reason);
    await expect(runOpenLoop(async () => 0, { rate: 1, seconds: 1, signal: aborted })).rejects.toBe(reason);
  });
});
