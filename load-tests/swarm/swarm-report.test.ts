import type { CrowdRun } from './crowd-run.js';
import { crowdScenario } from './scenarios.js';
import { formatSwarmReport, type SwarmFindings } from './swarm-report.js';

const SCENARIO = crowdScenario(1, 8, 2 ** 20);

function runOf(seconds: number | undefined, duplicateBytes?: number, incidentSeconds?: number): CrowdRun {
  const reading = (atMs: number, bytes: number) => ({
    atMs,
    nodes: [
      { sentBytes: bytes, receivedBytes: 0 },
      { sentBytes: 0, receivedBytes: bytes },
    ],
  });
  return {
    nodes: [{ node: 1, beganSeconds: 0, finishedSeconds: seconds }],
    firstHolderBytes: 2 ** 20,
    duplicateBytes,
    cpuSeconds: 0.5,
    peakBytes: 150 * 2 ** 20,
    readings: [reading(0, 0), reading(1000, 500_000)],
    incidentSeconds,
  };
}

const FINDINGS: SwarmFindings = {
  machine: 'a machine',
  command: 'npm run bench:swarm',
  loadBefore: 0.25,
  links: { shaper: 'tbf', congestionControl: 'cubic' },
  missing: ['aria2c'],
  scenarios: [
    {
      scenario: SCENARIO,
      systems: [
        { system: { name: 'shoal', title: 'Shoal' }, runs: [runOf(1.2, 0), runOf(1.1, 0), runOf(1.5, 10486)] },
        { system: { name: 'libtorrent', title: 'libtorrent' }, runs: [runOf(2), runOf(undefined)] },
      ],
    },
  ],
};

describe('the report', () => {
  const report = formatSwarmReport(FINDINGS);

  it('says where, how and without what it was measured', () => {
    expect(report).toContain('Machine: a machine. Load before: 0.25.');
    expect(report).toContain('Command: `npm run bench:swarm`.');
    expect(report).toContain('token bucket filter (tc, TBF)');
    expect(report).toContain('Left out, because it is not installed: aria2c.');
    expect(report).toContain('Lower bound: 1.05 s.');
  });

  it('gives medians with their spread', () => {
    expect(report).toContain(
      '| Shoal | 3 | 3 of 3 | 1.20 (1.10-1.50) | 1.14 (1.05-1.43) | 1.00 | 0.0 (0.0-1.0) | 0.5 |',
    );
  });

  it('tells of a folder how long it took to publish, and what memory it took', () => {
    const system = { name: 'shoal', title: 'Shoal' } as const;
    const runs = [{ ...runOf(1.2), publishSeconds: 3.2 }];
    const scenarios = [{ scenario: { ...SCENARIO, files: 10 }, systems: [{ system, runs }] }];
    expect(formatSwarmReport({ ...FINDINGS, scenarios })).toContain(
      '- Shoal: publishing took 3.2 s before that; no program at a node took more than 150 MiB of memory.',
    );
    expect(report).not.toContain('publishing took');
  });

  it('counts who did not finish, and has no figure for what nobody told', () => {
    expect(report).toContain('| libtorrent | 2 | 1 of 2 | 2.00 | 1.91 | 1.00 | - | 0.5 |');
  });

  it('tells which system failed and why, beside what it had done before', () => {
    const system = { name: 'libtorrent', title: 'libtorrent' } as const;
    const reportOf = (runs: readonly CrowdRun[]) => {
      const failure = { number: runs.length + 1, why: 'python3 failed (SIGSEGV)' };
      return formatSwarmReport({
        ...FINDINGS,
        scenarios: [{ scenario: SCENARIO, systems: [{ system, runs, failure }] }],
      });
    };
    expect(reportOf([runOf(2)])).toContain('| libtorrent | 1, then failed | 1 of 1 | 2.00 | 1.91 | 1.00 | - | 0.5 |');
    expect(reportOf([])).toContain('| libtorrent | 0, then failed | - | - | - | - | - | - |');
    expect(reportOf([])).toContain('- libtorrent: run 1 failed, and there were no more: python3 failed (SIGSEGV).');
    expect(report).not.toContain('failed');
  });

  it('says whether and when an incident came', () => {
    const scenario = { ...SCENARIO, incident: { kind: 'first-holder-dies', copies: 1.2 } as const };
    const runs = [runOf(1.2, undefined, 0.5), runOf(1.3, undefined, 0.7), runOf(1.2)];
    const systems = [{ system: { name: 'shoal', title: 'Shoal' } as const, runs }];
    const text = formatSwarmReport({ ...FINDINGS, scenarios: [{ scenario, systems }] });
    expect(text).toContain('- Shoal: it happened in 2 of 3 runs, after 0.60 (0.50-0.70) s.');
    expect(report).not.toContain('it happened');
  });

  it('shows how we used the links', () => {
    expect(report).toContain('| first holder’s uplink | 50 | 50 | 50 | 50 | 50 | 50 | 50 | 50 | 50 | 50 |');
  });
});
