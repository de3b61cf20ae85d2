import { formatDuration, formatRate, formatSize, plural } from './format.js';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [300 * 1024 ** 2, '300 MiB'],
  [5 * 1024 ** 3, '5.0 GiB'],
  [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
])('shows %d bytes as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  [999, '999 B/s'],
  [999.9, '1.0 kB/s'],
  [98_500_000, '98.5 MB/s'],
  [1_200_000_000, '1.2 GB/s'],
])('shows %d bytes per second as %s', (rate, text) => {
  expect(formatRate(rate)).toBe(text);
});

test.each([
  [0.4249, '0.42 s'],
  [9.996, '10.0 s'],
  [59.96, '1m00s'],
  [245, '4m05s'],
  [7265, '2h01m'],
  [273_600, '3d4h'],
])('shows %d seconds as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('counts in words', () => {
  expect([plural(1, 'copy', 'copies'), plural(2, 'copy', 'copies'), plural(0, 'peer')]).toEqual([
    '1 copy',
    '2 copies',
    '0 peers',
  ]);
});
