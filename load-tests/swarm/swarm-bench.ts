import { mkdir, rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { describeMachine } from '../transfer/machine.js';
import { runMeasured } from '../transfer/measured-command.js';
import { makeRandomFile, makeRandomFiles } from '../transfer/work-file.js';
import { aria2System } from './aria2-crowd.js';
import type { SwarmBenchEnvironment } from './bench-environment.js';
import type { CrowdFile, CrowdSession, CrowdSystem, SystemName } from './crowd.js';
import { type CrowdRun, runCrowd } from './crowd-run.js';
import { curlSystem } from './curl-crowd.js';
import { findShaper, Lab } from './lab.js';
import type { LinkOptions, Shaper } from './lab-plan.js';
import { libtorrentSystem } from './libtorrent-crowd.js';
import { rsyncSystem } from './rsync-crowd.js';
import type { Scenario } from './scenarios.js';
import { shoalSystem } from './shoal-crowd.js';
import { formatSwarmReport } from './swarm-report.js';
import { runsOf, type SystemRuns } from './system-runs.js';

/*
 * The bench of crowds: for each scenario a network of shaped links, in it one system after the other, each with files of
 * its own that nobody has seen before.
 */

/** What to measure. */
export interface SwarmBenchOptions {
  readonly runs: number;
  readonly scenarios: readonly Scenario[];
  /** What is compared; a scenario may leave some out. */
  readonly systems: readonly SystemName[];
  /** TCP's congestion control at every node. */
  readonly congestionControl: string;
  /** Disciplines of the kernel that may shape the links, the first that there is. */
  readonly shapers: readonly Shaper[];
  /** The command as it was typed, for the report. */
  readonly command: string;
}

/**
 * Measures, and returns a report in Markdown, which tells when a system that Shoal is compared with failed. Rejects when
 * anything else fails: then there are no figures.
 */
export async function runSwarmBench(bench: SwarmBenchEnvironment, options: SwarmBenchOptions): Promise<string> {
  const loadBefore = loadavg()[0] ?? 0;
  const machine = await describeMachine(bench.folder);
  const links = { shaper: await findShaper(options.shapers), congestionControl: options.congestionControl };
  const { systems, missing } = await installedSystems(bench, options.systems);
  const scenarios = [];
  for (const scenario of options.scenarios) {
    const compared = systems.filter(({ name }) => scenario.systems.includes(name));
    const runs: SystemRuns[] = [];
    for (const system of compared) runs.push(await measure({ bench, links, scenario, system }, options));
    scenarios.push({ scenario, systems: runs });
  }
  return formatSwarmReport({ machine, loadBefore, links, missing, scenarios, command: options.command });
}

interface Measurement {
  readonly bench: SwarmBenchEnvironment;
  readonly links: LinkOptions;
  readonly scenario: Scenario;
  readonly system: CrowdSystem;
}

async function measure(measurement: Measurement, { runs }: SwarmBenchOptions): Promise<SystemRuns> {
  const { bench, scenario, system, links } = measurement;
  // Their time follows from the rates: nobody learns anything from waiting for it again.
  const count = system.name === 'curl' || system.name === 'rsync' ? 1 : runs;
  const lab = await Lab.create(scenario.mbits, links);
  let session: CrowdSession | undefined;
  try {
    const found = await runsOf(system, { count, signal: bench.signal }, async (number) => {
      bench.say(`${scenario.title}: ${system.title}, run ${number} of ${count}`);
      session ??= await system.open(lab, join(bench.folder, system.name));
      const run = await runOnce(measurement, { lab, session, number });
      if (scenario.incident === undefined) return run;
      // Who was killed is not there for the next run.
      const used = session;
      session = undefined;
      await used.close();
      return run;
    });
    if (found.failure !== undefined) bench.say(`${system.title} failed: ${found.failure.why}`);
    return found;
  } finally {
    await session?.close();
    await lab.remove();
  }
}

async function runOnce(
  { bench, scenario, system }: Measurement,
  { lab, session, number }: { readonly lab: Lab; readonly session: CrowdSession; readonly number: number },
): Promise<CrowdRun> {
  const served = join(bench.folder, 'served');
  const path = join(served, `${system.name}-${number}`);
  await mkdir(served, { recursive: true });
  try {
    const file = await makeWanted(path, scenario, bench.signal);
    const compare: readonly [string, ...string[]] =
      file.files === undefined ? ['cmp'] : ['diff', '--recursive', '--brief'];
    const crowd = await session.ready(file);
    try {
      await settle(bench);
      const run = await runCrowd({ lab, crowd, signal: bench.signal }, scenario, file);
      for (const { node, finishedSeconds } of run.nodes) {
        if (finishedSeconds !== undefined) await runMeasured([...compare, path, await crowd.target(node)], bench);
      }
      return run;
    } finally {
      await crowd.end();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function makeWanted(path: string, { bytes, files }: Scenario, signal: AbortSignal): Promise<CrowdFile> {
  if (files !== undefined) return { path, bytes, files: await makeRandomFiles(path, { bytes, files }, signal) };
  await makeRandomFile(path, bytes, signal);
  return { path, bytes };
}

/** Brings what was written so far to the disk, so that the next step does not pay for it. */
async function settle(bench: SwarmBenchEnvironment): Promise<void> {
  await runMeasured(['sync', '--file-system', bench.folder], bench);
}

async function installedSystems(
  bench: SwarmBenchEnvironment,
  wanted: readonly SystemName[],
): Promise<{ readonly systems: readonly CrowdSystem[]; readonly missing: readonly string[] }> {
  const missing: string[] = [];
  const find = async (name: SystemName, package_: string, program: string) => {
    if (!wanted.includes(name)) return undefined;
    const path = await bench.findProgram(program);
    if (path === undefined) missing.push(`${program} (Debian: \`apt-get install ${package_}\`)`);
    return path;
  };
  const nginx = await find('curl', 'nginx-light', 'nginx');
  const curl = await find('curl', 'curl', 'curl');
  const rsync = await find('rsync', 'rsync', 'rsync');
  const aria2 = await find('aria2', 'aria2', 'aria2c');
  const python = wanted.includes('libtorrent') ? await findPython(bench) : undefined;
  if (wanted.includes('libtorrent') && python === undefined) {
    missing.push('libtorrent for Python (Debian: `apt-get install python3-libtorrent`)');
  }
  for (const program of missing) bench.say(`not installed, so nothing is compared with it: ${program}`);
  const systems = [
    ...(wanted.includes('shoal') ? [shoalSystem(bench)] : []),
    ...(python === undefined ? [] : [libtorrentSystem(bench, python)]),
    ...(aria2 === undefined ? [] : [aria2System(bench, aria2)]),
    ...(nginx === undefined || curl === undefined ? [] : [curlSystem(bench, { nginx, curl })]),
    ...(rsync === undefined ? [] : [rsyncSystem(bench, rsync)]),
  ];
  return { systems, missing };
}

/** Of the Pythons that there are, one that has the library: Debian's packages are for Debian's own. */
async function findPython(bench: SwarmBenchEnvironment): Promise<string | undefined> {
  for (const candidate of ['/usr/bin/python3', await bench.findProgram('python3')]) {
    if (candidate === undefined) continue;
    try {
      await runMeasured([candidate, '-c', 'import libtorrent'], bench);
      return candidate;
    } catch {
      // Not this one.
    }
  }
  return undefined;
}
