import { SharedCalls } from './shared-calls.js';

/** A call that the test answers. */
function held() {
  const calls: { answer(value: string): void; fail(error: Error): void }[] = [];
  const call = () =>
    new Promise<string>((resolve, reject) => {
      calls.push({ answer: resolve, fail: reject });
    });
  return { calls, call };
}

describe('callers who ask the same', () => {
  it('share the call that begins after they asked, never one that had begun before', async () => {
    const shared = new SharedCalls<string>();
    const { calls, call } = held();
    const first = shared.get('a', call);
    const second = shared.get('a', call);
    const third = shared.get('a', call);
    expect(calls).toHaveLength(1);
    calls[0]?.answer('old');
    await expect(first).resolves.toBe('old');
    expect(calls).toHaveLength(2);
    calls[1]?.answer('new');
    await expect(Promise.all([second, third])).resolves.toEqual(['new', 'new']);
    expect(shared.size).toBe(0);
  });

  it('get an answer of their own when the call before them fails', async () => {
    const shared = new SharedCalls<string>();
    const { calls, call } = held();
    const first = shared.get('a', call);
    const second = shared.get('a', call);
    calls[0]?.fail(new Error('lost'));
    await expect(first).rejects.toThrow('lost');
    calls[1]?.answer('found');
    await expect(second).resolves.toBe('found');
    expect(shared.size).toBe(0);
  });

  it('do not wait for those who ask something else', async () => {
    const shared = new SharedCalls<string>();
    const { call } = held();
    void shared.get('a', call);
    await expect(shared.get('b', async () => 'b')).resolves.toBe('b');
  });
});
