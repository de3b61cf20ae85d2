import { endedChildrenCpuSeconds, peakBytesOf, usageOf } from './process-usage.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('usageOf', () => {
  test('agrees with what the process knows of itself', () => {
    const { user, system } = process.cpuUsage();
    const { cpuSeconds, peakBytes } = usageOf(process.pid);
    expect(cpuSeconds).toBeGreaterThan((user + system) / 1e6 - 0.05);
    expect(cpuSeconds).toBeLessThan((user + system) / 1e6 + 0.5);
    // The kernel sums up pages of several cores, and does so at another moment.
    expect(peakBytes / (process.resourceUsage().maxRSS * 1024)).toBeCloseTo(1, 1);
  });

  test('is not misled by brackets and spaces in the name of a program', () => {
    const { title } = process;
    try {
      process.title = 'a) S 1 2 (b';
      const { user, system } = process.cpuUsage();
      expect(usageOf(process.pid).cpuSeconds).toBeCloseTo((user + system) / 1e6, 0);
    } finally {
      process.title = title;
    }
  });

  test('counts children apart', () => {
    expect(endedChildrenCpuSeconds()).toBeGreaterThanOrEqual(0);
  });

  test('fails for a process that is gone, and the look at its memory says so', () => {
    const beyondTheHighestPid = 2 ** 22 + 1;
    expect(() => usageOf(beyondTheHighestPid)).toThrow('ENOENT');
    expect(peakBytesOf(beyondTheHighestPid)).toBeUndefined();
  });
});
