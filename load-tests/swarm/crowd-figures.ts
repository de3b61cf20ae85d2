import type { CrowdRun } from './crowd-run.js';
import { lowerBoundSeconds } from './lower-bound.js';
import type { Scenario } from './scenarios.js';

/** What a run comes to. */
export interface CrowdFigures {
  /** Of the nodes that count, those that have the file. */
  readonly finished: number;
  readonly counted: number;
  /** Until the last node that counts had it, each from the moment it began. Undefined when one did not finish. */
  readonly makespanSeconds: number | undefined;
  /** To the lower bound. */
  readonly ratio: number | undefined;
  /** Bytes that left the first holder, in copies of the file. */
  readonly firstHolderCopies: number;
  /** Bytes that came in vain, in parts of all bytes that had to come. */
  readonly duplicates: number | undefined;
  readonly cpuSeconds: number;
  /** Where one came late: its time, and that of the last of the others. */
  readonly lateComer: { readonly seconds: number; readonly othersSeconds: number } | undefined;
}

/**
 * The figures of a run. Where links differ only the nodes with the fastest count: the question is whether others delay
 * them.
 */
export function crowdFigures(run: CrowdRun, scenario: Scenario): CrowdFigures {
  const { bytes } = scenario;
  const counts = countedNodes(scenario);
  const counted = run.nodes.filter(({ node }) => counts.has(node));
  const durations = counted.map(({ beganSeconds, finishedSeconds }) =>
    finishedSeconds === undefined ? undefined : finishedSeconds - beganSeconds,
  );
  const finished = durations.filter((seconds) => seconds !== undefined);
  const makespanSeconds = finished.length === counted.length ? Math.max(...finished) : undefined;
  const { duplicateBytes } = run;
  return {
    finished: finished.length,
    counted: counted.length,
    makespanSeconds,
    ratio: makespanSeconds === undefined ? undefined : makespanSeconds / boundOf(scenario),
    firstHolderCopies: run.firstHolderBytes / bytes,
    duplicates: duplicateBytes === undefined ? undefined : duplicateBytes / bytes / run.nodes.length,
    cpuSeconds: run.cpuSeconds,
    lateComer: lateComer(durations, scenario),
  };
}

/** The lower bound for the nodes that count. */
export function boundOf({ bytes, mbits }: Scenario): number {
  const fastest = Math.max(...mbits);
  return lowerBoundSeconds(
    bytes,
    mbits.filter((mbit) => mbit === fastest),
  );
}

function countedNodes({ mbits }: Scenario): ReadonlySet<number> {
  const fastest = Math.max(...mbits);
  return new Set(mbits.flatMap((mbit, node) => (node > 0 && mbit === fastest ? [node] : [])));
}

function lateComer(durations: readonly (number | undefined)[], { incident }: Scenario): CrowdFigures['lateComer'] {
  const seconds = durations.at(-1);
  const others = durations.slice(0, -1).filter((each) => each !== undefined);
  if (incident?.kind !== 'late-comer' || seconds === undefined || others.length === 0) return undefined;
  return { seconds, othersSeconds: Math.max(...others) };
}
