import { ReadPace } from './read-pace.js';

/** Of a store whose last two reads were slow. */
function slowPace(): ReadPace {
  const pace = new ReadPace();
  for (let i = 0; i < 2; i += 1) pace.took(5, 0);
  return pace;
}

it('reads on this thread as long as that is quick', () => {
  const pace = new ReadPace();
  expect(pace.isQuick(0)).toBe(true);
  pace.took(0.1, 10);
  expect(pace.isQuick(10)).toBe(true);
});

it('minds no slow read among quick ones', () => {
  const pace = new ReadPace();
  for (const ms of [5, 5, 1, 5, 5, 1, 5]) {
    pace.took(ms, 0);
    expect(pace.isQuick(0)).toBe(true);
  }
});

it('leaves it to others for a while when three reads were slow, and longer when one is slow again', () => {
  const pace = slowPace();
  const pauses: number[] = [];
  let nowMs = 0;
  for (let i = 0; i < 8; i += 1) {
    pace.took(5, nowMs);
    const beganMs = nowMs;
    while (!pace.isQuick(nowMs)) nowMs += 100;
    pauses.push(nowMs - beganMs);
  }
  expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

it('forgets slow reads after a quick one', () => {
  const pace = slowPace();
  pace.took(5, 0);
  pace.took(5, 500);
  expect(pace.isQuick(1499)).toBe(false);
  pace.took(1, 1500);
  for (let i = 0; i < 3; i += 1) pace.took(5, 1501);
  expect(pace.isQuick(2000)).toBe(false);
  expect(pace.isQuick(2001)).toBe(true);
});
