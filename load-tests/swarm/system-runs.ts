import type { CrowdSystem } from './crowd.js';
import type { CrowdRun } from './crowd-run.js';

/** The runs of one system in one scenario. */
export interface SystemRuns {
  readonly system: Pick<CrowdSystem, 'name' | 'title'>;
  readonly runs: readonly CrowdRun[];
  /** Which run failed and why, after which there were no more; undefined when none did. */
  readonly failure?: { readonly number: number; readonly why: string };
}

/**
 * Runs a system `count` times. That another system than Shoal fails is a finding, and ends its runs; that Shoal does, or
 * that somebody interrupts, rejects.
 */
export async function runsOf(
  system: SystemRuns['system'],
  { count, signal }: { readonly count: number; readonly signal: AbortSignal },
  run: (number: number) => Promise<CrowdRun>,
): Promise<SystemRuns> {
  const runs: CrowdRun[] = [];
  for (let number = 1; number <= count; number += 1) {
    try {
      runs.push(await run(number));
    } catch (error) {
      if (system.name === 'shoal' || signal.aborted) throw error;
      return { system, runs, failure: { number, why: error instanceof Error ? error.message : String(error) } };
    }
  }
  return { system, runs };
}
