import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  type Command,
  hubCommands,
  type LabNode,
  type LinkOptions,
  labNode,
  nodeCommands,
  removeCommands,
  removeHubCommands,
  type Shaper,
  shapeCommands,
} from './lab-plan.js';
import { parseNetDev, parseShapedBytes, type Reading } from './link-traffic.js';

const run = promisify(execFile);

/**
 * A network of shaped links that exists. This process must be in a network namespace of its own, with a private
 * /run/netns: see bench-swarm.mjs.
 */
export class Lab {
  readonly nodes: readonly LabNode[];
  /** Rates of the nodes' links in Mbit/s, up and down alike. */
  readonly mbits: readonly number[];

  private constructor(mbits: readonly number[]) {
    this.mbits = mbits;
    this.nodes = mbits.map((_, number) => labNode(number));
  }

  /** Makes the bridges and one node for each rate. Call {@link remove} also when it rejects. */
  static async create(mbits: readonly number[], links: LinkOptions): Promise<Lab> {
    const lab = new Lab(mbits);
    await runAll(hubCommands());
    for (const [number, node] of lab.nodes.entries()) {
      await runAll(nodeCommands(node, { ...links, mbit: mbits[number] ?? Number.NaN }));
    }
    return lab;
  }

  /** Takes everything away. All that ran inside must have ended. */
  async remove(): Promise<void> {
    for (const node of this.nodes) await runAll(removeCommands(node));
    await runAll(removeHubCommands());
  }

  /** What the cards have counted until now. */
  read(): Reading {
    const nodes = parseNetDev(
      readFileSync('/proc/net/dev', 'utf8'),
      this.nodes.map(({ port }) => port),
    );
    return { atMs: performance.now(), nodes };
  }

  /** Bytes that have left a node over its shaped link, headers of every packet included. */
  async uplinkBytes({ name }: LabNode): Promise<number> {
    const { stdout } = await run('tc', ['-n', name, '-j', '-s', 'qdisc', 'show', 'dev', 'eth0']);
    return parseShapedBytes(stdout);
  }
}

/** The first of these disciplines that this kernel has. Throws when it has none. */
export async function findShaper(candidates: readonly Shaper[]): Promise<Shaper> {
  const troubles: string[] = [];
  await runAll([['ip', 'link', 'add', 'probe', 'type', 'veth', 'peer', 'name', 'probe-peer']]);
  try {
    for (const shaper of candidates) {
      try {
        await runAll(shapeCommands(shaper, 1, 'probe').map((command): Command => ['tc', ...command]));
        return shaper;
      } catch (error) {
        troubles.push(`${shaper}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    await runAll([['ip', 'link', 'del', 'probe']]);
  }
  throw new Error(
    `this kernel shapes no links, for which it needs ${candidates.map((name) => `sch_${name}`).join(' or ')}:\n${troubles.join('\n')}`,
  );
}

async function runAll(commands: readonly Command[]): Promise<void> {
  for (const [command, ...args] of commands) await run(command, args);
}
