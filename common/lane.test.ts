import { KeyedLanes, Lane } from './lane.js';

/** A task that waits to be let go, and a record of which began. */
function tasks(): { begun: string[]; make: (name: string) => () => Promise<string>; finish: (name: string) => void } {
  const begun: string[] = [];
  const finishers = new Map<string, () => void>();
  return {
    begun,
    make: (name) => () => {
      begun.push(name);
      return new Promise((resolve) => finishers.set(name, () => resolve(name)));
    },
    finish: (name) => finishers.get(name)?.(),
  };
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('a lane', () => {
  it('runs as many as it is wide, the others in order', async () => {
    const lane = new Lane(2);
    const { begun, make, finish } = tasks();
    const runs = ['a', 'b', 'c', 'd'].map((name) => lane.run(make(name)));
    expect(begun).toEqual([]);
    await settle();
    expect(begun).toEqual(['a', 'b']);
    finish('b');
    await settle();
    expect(begun).toEqual(['a', 'b', 'c']);
    for (const name of ['a', 'c']) finish(name);
    await settle();
    finish('d');
    expect(await Promise.all(runs)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('goes on after a task that failed', async () => {
    const lane = new Lane(1);
    const failed = lane.run(() => Promise.reject(new Error('no')));
    const next = lane.run(async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });

  it('forgets those who give up while they wait, and only those', async () => {
    const lane = new Lane(1);
    const { begun, make, finish } = tasks();
    const stop = new AbortController();
    const first = lane.run(make('first'), stop.signal);
    const second = lane.run(make('second'), stop.signal);
    const third = lane.run(make('third'));
    await settle();
    stop.abort();
    await expect(second).rejects.toThrow(expect.objectContaining({ code: 'cancelled' }));
    await expect(lane.run(make('late'), stop.signal)).rejects.toThrow(expect.objectContaining({ code: 'cancelled' }));
    finish('first');
    expect(await first).toBe('first');
    await settle();
    finish('third');
    expect(await third).toBe('third');
    expect(begun).toEqual(['first', 'third']);
  });
});

describe('lanes by key', () => {
  it('make those with the same key take turns, and no others', async () => {
    const lanes = new KeyedLanes();
    const { begun, make, finish } = tasks();
    const runs = [lanes.run('x', make('x1')), lanes.run('x', make('x2')), lanes.run('y', make('y1'))];
    await settle();
    expect(begun).toEqual(['x1', 'y1']);
    finish('x1');
    await settle();
    expect(begun).toEqual(['x1', 'y1', 'x2']);
    finish('x2');
    finish('y1');
    await Promise.all(runs);
    await lanes.run('x', async () => 'again');
  });
});
