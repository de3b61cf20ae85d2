import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  type Command,
  hubCommands,
  type LabNode,
  type LinkOptions,
  labNode,
  linkCommands,
  nodeCommands,
  removeCommands,
  removeHubCommands,
  type Shaper,
  shapeCommands,
  userlandLink,
} from './lab-plan.js';
import { parseNetDev, parseShapedBytes, type Reading } from './link-traffic.js';
import { probeUserlandShaper, UserlandShaper } from './userland-shaper.js';

const run = promisify(execFile);

/**
 * A network of shaped links that exists. This process must be in a network namespace of its own, with a private
 * /run/netns: see bench-swarm.mjs.
 */
export class Lab {
  readonly nodes: readonly LabNode[];
  /** Rates of the nodes' links in Mbit/s, up and down alike. */
  readonly mbits: readonly number[];
  #userland: UserlandShaper | undefined;

  private constructor(mbits: readonly number[]) {
    this.mbits = mbits;
    this.nodes = mbits.map((_, number) => labNode(number));
  }

  /** Makes the bridges and one node for each rate. Call {@link remove} also when it rejects. */
  static async create(mbits: readonly number[], links: LinkOptions): Promise<Lab> {
    const lab = new Lab(mbits);
    await runAll(hubCommands());
    for (const node of lab.nodes) await runAll(nodeCommands(node, links));
    const rated = lab.nodes.map((node, number) => ({ node, mbit: mbits[number] ?? Number.NaN }));
    if (links.shaper === 'userland') {
      lab.#userland = await UserlandShaper.start(rated.map(({ node, mbit }) => userlandLink(node, mbit)));
    }
    for (const { node, mbit } of rated) await runAll(linkCommands(node, { mbit, shaper: links.shaper }));
    return lab;
  }

  /** Takes everything away. All that ran inside must have ended. */
  async remove(): Promise<void> {
    await this.#userland?.stop();
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
  async uplinkBytes({ name, port }: LabNode): Promise<number> {
    // It hands on every packet by itself, so that the cards count all headers.
    if (this.#userland !== undefined)
      return parseNetDev(readFileSync('/proc/net/dev', 'utf8'), [port])[0]?.sentBytes ?? 0;
    const { stdout } = await run('tc', ['-n', name, '-j', '-s', 'qdisc', 'show', 'dev', 'eth0']);
    return parseShapedBytes(stdout);
  }
}

/** The first of these that there is here. Throws when there is none. */
export async function findShaper(candidates: readonly Shaper[]): Promise<Shaper> {
  const troubles: string[] = [];
  await runAll([['ip', 'link', 'add', 'probe', 'type', 'veth', 'peer', 'name', 'probe-peer']]);
  try {
    for (const shaper of candidates) {
      try {
        if (shaper === 'userland') await probeUserlandShaper();
        else await runAll(shapeCommands(shaper, 1, 'probe').map((command): Command => ['tc', ...command]));
        return shaper;
      } catch (error) {
        troubles.push(`${shaper}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  } finally {
    await runAll([['ip', 'link', 'del', 'probe']]);
  }
  throw new Error(
    `nothing here shapes links; it takes sch_tbf or sch_htb in the kernel, or TAP devices and Python 3:\n${troubles.join('\n')}`,
  );
}

async function runAll(commands: readonly Command[]): Promise<void> {
  for (const [command, ...args] of commands) await run(command, args);
}
