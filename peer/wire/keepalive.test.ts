import { Keepalive } from './keepalive.js';

const { jest } = import.meta;
const events: string[] = [];

function start(options = { keepaliveMs: 30_000, keepaliveTimeoutMs: 10_000 }): Keepalive {
  return new Keepalive({ ping: () => events.push('ping'), onSilence: () => events.push('silence') }, options);
}

beforeEach(() => {
  jest.useFakeTimers();
  events.length = 0;
});
afterEach(() => {
  jest.useRealTimers();
});

it('asks when nothing came, and gives up when there is no answer', () => {
  start();
  jest.advanceTimersByTime(59_999);
  expect(events).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(events).toEqual(['ping']);
  jest.advanceTimersByTime(10_000);
  expect(events).toEqual(['ping', 'silence']);
  jest.advanceTimersByTime(1_000_000);
  expect(events).toEqual(['ping', 'silence']);
});

it('does not ask while something comes', () => {
  const keepalive = start();
  for (let i = 0; i < 20; i += 1) {
    jest.advanceTimersByTime(29_000);
    keepalive.heard();
  }
  expect(events).toEqual([]);
});

it.each([
  { keepaliveMs: 30_000, keepaliveTimeoutMs: 10_000 },
  { keepaliveMs: 1_000, keepaliveTimeoutMs: 10_000 },
])('goes on while every answer comes at the last moment: %p', (options) => {
  const keepalive: Keepalive = new Keepalive(
    {
      ping: () => {
        events.push('ping');
        setTimeout(() => keepalive.heard(), options.keepaliveTimeoutMs - 1);
      },
      onSilence: () => events.push('silence'),
    },
    options,
  );
  jest.advanceTimersByTime(1_000_000);
  expect(events.length).toBeGreaterThan(10);
  expect(events).not.toContain('silence');
  keepalive.stop();
});

it('does nothing after it was stopped', () => {
  const keepalive = start();
  jest.advanceTimersByTime(60_000);
  keepalive.stop();
  jest.advanceTimersByTime(1_000_000);
  expect(events).toEqual(['ping']);
});

it('takes no silence for an end while nothing is read', () => {
  const keepalive = start();
  keepalive.isDeaf = true;
  jest.advanceTimersByTime(1_000_000);
  expect(events).toEqual([]);
  keepalive.isDeaf = false;
  jest.advanceTimersByTime(70_000);
  expect(events).toEqual(['ping', 'silence']);
});

it('does not give up when reading stopped after it had asked', () => {
  const keepalive = start();
  jest.advanceTimersByTime(60_000);
  keepalive.isDeaf = true;
  jest.advanceTimersByTime(100_000);
  expect(events).toEqual(['ping']);
});

it('never asks where it need not', () => {
  start({ keepaliveMs: Number.POSITIVE_INFINITY, keepaliveTimeoutMs: 10_000 });
  jest.advanceTimersByTime(2 ** 31);
  expect(events).toEqual([]);
});
