import type { CrowdRun } from './crowd-run.js';
import { runsOf } from './system-runs.js';

const RUN: CrowdRun = {
  ...{ nodes: [], readings: [], firstHolderBytes: 0, duplicateBytes: undefined, cpuSeconds: 0, peakBytes: 0 },
  incidentSeconds: undefined,
};
const aria2 = { name: 'aria2', title: 'aria2' } as const;

/** A run of which the second fails. */
async function second(number: number): Promise<CrowdRun> {
  if (number === 2) throw new Error('aria2c failed (SIGSEGV)');
  return RUN;
}

describe('the runs of a system', () => {
  it('end when it fails, and say why', async () => {
    const signal = new AbortController().signal;
    expect(await runsOf(aria2, { count: 3, signal }, second)).toEqual({
      system: aria2,
      runs: [RUN],
      failure: { number: 2, why: 'aria2c failed (SIGSEGV)' },
    });
    expect(await runsOf(aria2, { count: 1, signal }, second)).toEqual({ system: aria2, runs: [RUN] });
  });

  it('fail the bench when it is Shoal', async () => {
    const shoal = { name: 'shoal', title: 'Shoal' } as const;
    const { signal } = new AbortController();
    await expect(runsOf(shoal, { count: 3, signal }, second)).rejects.toThrow('SIGSEGV');
  });

  it('fail the bench when somebody interrupts', async () => {
    await expect(runsOf(aria2, { count: 3, signal: AbortSignal.abort() }, second)).rejects.toThrow('SIGSEGV');
  });
});
