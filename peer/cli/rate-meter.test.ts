import { RateMeter } from './rate-meter.js';

test('says nothing before there is enough to tell', () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  meter.add(199, 1_000);
  expect(meter.bytesPerSecond).toBeUndefined();
});

test('tells the speed of the last five seconds, not of the whole', () => {
  const meter = new RateMeter();
  for (let second = 0; second <= 10; second += 1) meter.add(second * 1_000, Math.min(second, 5) * 1_000_000);
  expect(meter.bytesPerSecond).toBe(0);
  for (let second = 11; second <= 16; second += 1) meter.add(second * 1_000, (second - 5) * 1_000_000);
  expect(meter.bytesPerSecond).toBe(1_000_000);
});

test('begins anew when the count goes back', () => {
  const meter = new RateMeter();
  meter.add(0, 0);
  meter.add(1_000, 5_000);
  meter.add(1_500, 0);
  expect(meter.bytesPerSecond).toBeUndefined();
  meter.add(2_500, 700);
  expect(meter.bytesPerSecond).toBe(700);
});
