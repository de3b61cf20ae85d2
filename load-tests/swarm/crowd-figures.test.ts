import { boundOf, crowdFigures } from './crowd-figures.js';
import type { CrowdRun, NodeRun } from './crowd-run.js';
import { crowdScenario, type Scenario } from './scenarios.js';

const BYTES = 1_000_000;
const SCENARIO = crowdScenario(2, 8, BYTES);

function runOf(nodes: readonly (readonly [began: number, finished: number | undefined])[]): CrowdRun {
  return {
    nodes: nodes.map(
      ([beganSeconds, finishedSeconds], at): NodeRun => ({ node: at + 1, beganSeconds, finishedSeconds }),
    ),
    firstHolderBytes: 1_100_000,
    duplicateBytes: 20_000,
    cpuSeconds: 3,
    peakBytes: 0,
    readings: [],
    incidentSeconds: undefined,
  };
}

describe('the figures of a run', () => {
  it('are those of the node that took longest', () => {
    const run = runOf([
      [0, 1.5],
      [0, 1.25],
    ]);
    expect(crowdFigures(run, SCENARIO)).toEqual({
      finished: 2,
      counted: 2,
      makespanSeconds: 1.5,
      ratio: 1.5,
      firstHolderCopies: 1.1,
      duplicates: 0.01,
      cpuSeconds: 3,
      lateComer: undefined,
    });
  });

  it('have no makespan when somebody did not finish', () => {
    const figures = crowdFigures(
      runOf([
        [0, 1.5],
        [0, undefined],
      ]),
      SCENARIO,
    );
    expect(figures).toMatchObject({ finished: 1, counted: 2, makespanSeconds: undefined, ratio: undefined });
  });

  it('compare the late comer, from when it came, with the slowest of the others', () => {
    const late: Scenario = { ...SCENARIO, incident: { kind: 'late-comer', share: 0.5 } };
    const figures = crowdFigures(
      runOf([
        [0, 2],
        [1, 2.5],
      ]),
      late,
    );
    expect(figures.lateComer).toEqual({ seconds: 1.5, othersSeconds: 2 });
    expect(figures.makespanSeconds).toBe(2);
  });

  it('leave out a node whose link is slower, in the bound too', () => {
    const slow: Scenario = { ...SCENARIO, mbits: [8, 8, 1] };
    const figures = crowdFigures(
      runOf([
        [0, 2],
        [0, 9],
      ]),
      slow,
    );
    expect(figures).toMatchObject({ finished: 1, counted: 1, makespanSeconds: 2, ratio: 2 });
    expect(boundOf(slow)).toBe(1);
  });
});
