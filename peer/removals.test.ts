import { Removals } from './removals.js';

function setUp() {
  const removed: string[] = [];
  const clock = { now: 1_000 };
  const removals = new Removals({
    store: {
      remove: async (id, options) => {
        if (options?.unless?.() === true) return false;
        removed.push(id);
        return true;
      },
    },
    now: () => clock.now,
  });
  return { removals, removed, clock };
}

test('removes what nobody publishes', async () => {
  const { removals, removed } = setUp();
  expect(await removals.remove('a', 900)).toBe(true);
  expect(removed).toEqual(['a']);
});

test('keeps a file while anyone publishes it', async () => {
  const { removals, removed, clock } = setUp();
  const releases = [removals.protect('a'), removals.protect('a')];
  releases[0]?.();
  releases[0]?.();
  expect(await removals.remove('a', clock.now + 5_000)).toBe(false);
  releases[1]?.();
  expect(await removals.remove('a', clock.now + 5_000)).toBe(true);
  expect(removed).toEqual(['a']);
});

test('takes no notice of an answer that was asked for before the publish ended', async () => {
  const { removals, removed, clock } = setUp();
  const askedAtMs = clock.now;
  const release = removals.protect('a');
  clock.now += 500;
  release();
  expect(await removals.remove('a', askedAtMs)).toBe(false);
  expect(await removals.remove('a', clock.now + 1)).toBe(true);
  expect(removed).toEqual(['a']);
});

test('forgets publishes of long ago', async () => {
  const { removals, clock } = setUp();
  removals.protect('a')();
  clock.now += 61_000;
  removals.protect('b')();
  expect(await removals.remove('a', 1_000)).toBe(true);
});
