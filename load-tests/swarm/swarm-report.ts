import { formatMiB, formatSpread, markdownTable, spreadOf } from '../transfer/figures.js';
import { boundOf, type CrowdFigures, crowdFigures } from './crowd-figures.js';
import type { CrowdRun } from './crowd-run.js';
import type { LinkOptions, Shaper } from './lab-plan.js';
import { linkUse } from './link-traffic.js';
import type { Scenario } from './scenarios.js';
import type { SystemRuns } from './system-runs.js';

/** Everything that was found. */
export interface SwarmFindings {
  readonly machine: string;
  readonly command: string;
  readonly loadBefore: number;
  readonly links: LinkOptions;
  /** What could not be compared with, and what to install for it. */
  readonly missing: readonly string[];
  readonly scenarios: readonly { readonly scenario: Scenario; readonly systems: readonly SystemRuns[] }[];
}

const NONE = '-';
const SLICES = 10;
const SHAPER_NAMES: Readonly<Record<Shaper, string>> = {
  tbf: 'the kernel’s token bucket filter (tc, TBF)',
  userland: 'a program of this repository with TAP devices (userland-shaper.py), which takes CPU time of its own',
  htb: 'the kernel’s hierarchical token bucket (tc, HTB)',
};

/** The findings as people read them, in Markdown. */
export function formatSwarmReport(findings: SwarmFindings): string {
  return [
    `Machine: ${findings.machine}. Load before: ${findings.loadBefore.toFixed(2)}.`,
    `Command: \`${findings.command}\`.`,
    `Links are shaped by ${SHAPER_NAMES[findings.links.shaper]}, each way at each node; TCP’s congestion control is ${findings.links.congestionControl}.`,
    ...findings.missing.map((program) => `Left out, because it is not installed: ${program}.`),
    'Medians, in brackets the lowest and the highest. Ratio: to the lower bound, of which headers alone cost 1.05.',
    ...findings.scenarios.flatMap(({ scenario, systems }) => ['', ...scenarioSection(scenario, systems)]),
    '',
  ].join('\n');
}

function scenarioSection(scenario: Scenario, systems: readonly SystemRuns[]): string[] {
  const ours = systems.find(({ system }) => system.name === 'shoal');
  const use = ours === undefined ? [] : ['', ...useSection(scenario, ours.runs)];
  return [
    `### ${scenario.title}`,
    '',
    `Lower bound: ${boundOf(scenario).toFixed(2)} s.`,
    '',
    crowdTable(scenario, systems),
    ...failures(systems),
    ...incidents(scenario, systems),
    ...publishing(scenario, systems),
    ...use,
  ];
}

function crowdTable(scenario: Scenario, systems: readonly SystemRuns[]): string {
  const head = ['', 'runs', 'finished', 'makespan s', 'ratio', 'first holder sent, copies', 'duplicates %', 'CPU s'];
  const rows = systems.map(({ system, runs, failure }) => {
    const figures = runs.map((run) => crowdFigures(run, scenario));
    const sum = (part: (figure: CrowdFigures) => number) => figures.reduce((total, figure) => total + part(figure), 0);
    return [
      system.title,
      failure === undefined ? String(runs.length) : `${runs.length}, then failed`,
      runs.length === 0 ? NONE : `${sum(({ finished }) => finished)} of ${sum(({ counted }) => counted)}`,
      spread(figures, ({ makespanSeconds }) => makespanSeconds, 2),
      spread(figures, ({ ratio }) => ratio, 2),
      spread(figures, ({ firstHolderCopies }) => firstHolderCopies, 2),
      spread(figures, ({ duplicates }) => (duplicates === undefined ? undefined : duplicates * 100), 1),
      spread(figures, ({ cpuSeconds }) => cpuSeconds, 1),
    ];
  });
  return markdownTable([head, ...rows]);
}

/** Of those runs in which there is such a figure. */
function spread(
  figures: readonly CrowdFigures[],
  of: (figure: CrowdFigures) => number | undefined,
  digits: number,
): string {
  const known = figures.map(of).filter((figure) => figure !== undefined);
  return known.length === 0 ? NONE : formatSpread(spreadOf(known), digits);
}

function failures(systems: readonly SystemRuns[]): string[] {
  const lines = systems.flatMap(({ system, failure }) =>
    failure === undefined
      ? []
      : [`- ${system.title}: run ${failure.number} failed, and there were no more: ${failure.why}.`],
  );
  return lines.length === 0 ? [] : ['', ...lines];
}

function incidents(scenario: Scenario, systems: readonly SystemRuns[]): string[] {
  if (scenario.incident === undefined) return [];
  const lines = systems.flatMap((each) => [...whenItHappened(each), ...lateComers(scenario, each)]);
  return ['', ...lines];
}

/** Figures of a run without its incident would be those of another scenario. */
function whenItHappened({ system, runs }: SystemRuns): string[] {
  if (runs.length === 0) return [];
  const times = runs.map(({ incidentSeconds }) => incidentSeconds).filter((seconds) => seconds !== undefined);
  const after = times.length === 0 ? '' : `, after ${formatSpread(spreadOf(times), 2)} s`;
  return [`- ${system.title}: it happened in ${times.length} of ${runs.length} runs${after}.`];
}

function lateComers(scenario: Scenario, { system, runs }: SystemRuns): string[] {
  const late = runs.flatMap((run) => crowdFigures(run, scenario).lateComer ?? []);
  if (late.length === 0) return [];
  const own = formatSpread(spreadOf(late.map(({ seconds }) => seconds)), 2);
  const others = formatSpread(spreadOf(late.map(({ othersSeconds }) => othersSeconds)), 2);
  return [`- ${system.title}: the late comer took ${own} s, the slowest of the others ${others} s.`];
}

/** Of one file it is a matter of a moment. */
function publishing({ files }: Scenario, systems: readonly SystemRuns[]): string[] {
  const lines = systems.flatMap(({ system, runs }) => {
    const seconds = runs.flatMap(({ publishSeconds }) => publishSeconds ?? []);
    if (files === undefined || seconds.length === 0) return [];
    const peak = formatMiB(Math.max(...runs.map(({ peakBytes }) => peakBytes)));
    return [
      `- ${system.title}: publishing took ${formatSpread(spreadOf(seconds), 1)} s before that; no program at a node took more than ${peak} of memory.`,
    ];
  });
  return lines.length === 0 ? [] : ['', ...lines];
}

/** How the links were used in the run whose makespan is the median. */
function useSection(scenario: Scenario, runs: readonly CrowdRun[]): string[] {
  const byTime = runs
    .map((run) => ({ run, seconds: crowdFigures(run, scenario).makespanSeconds ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => a.seconds - b.seconds);
  const median = byTime[Math.floor((byTime.length - 1) / 2)]?.run;
  if (median === undefined) return [];
  const use = linkUse(median.readings, scenario.mbits, SLICES);
  const percent = (value: number) => String(Math.round(value * 100));
  return [
    'How Shoal used the links in its median run, % in each tenth of the time (headers of packets left out):',
    '',
    markdownTable([
      ['', ...use.map((_, at) => String(at + 1))],
      ['first holder’s uplink', ...use.map(({ firstUplink }) => percent(firstUplink))],
      ['other uplinks', ...use.map(({ otherUplinks }) => percent(otherUplinks))],
      ['downlinks', ...use.map(({ downlinks }) => percent(downlinks))],
    ]),
  ];
}
