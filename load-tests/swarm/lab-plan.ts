import type { Link } from './userland-shaper.js';

/*
 * The network of a lab, as commands of iproute2 and nothing else. Every node is a network namespace with two cards:
 * `eth0` on a bridge where both directions of every link are shaped, and `ctl0` on another bridge where nothing is, for
 * the index and for whoever measures. Both bridges lie in the namespace that this process runs in (the hub), so the
 * uplink of a node is shaped at its own card and its downlink at the bridge's port.
 */

/** One command with its arguments. */
export type Command = readonly [string, ...string[]];

/** How links are shaped: by a queueing discipline of the kernel, or by a program where it has none. */
export type Shaper = (typeof SHAPERS)[number];

/** Those that a lab knows, the better first. */
export const SHAPERS = ['tbf', 'htb', 'userland'] as const;

/** How all links of a lab behave. */
export interface LinkOptions {
  readonly shaper: Shaper;
  /** TCP's congestion control at every node, by the kernel's name for it. */
  readonly congestionControl: string;
}

/** One end of the network. */
export interface LabNode {
  readonly name: string;
  /** On the shaped network. */
  readonly address: string;
  /** On the network for control. */
  readonly controlAddress: string;
  /** The hub's card for its shaped link: what it sends is what the node receives. */
  readonly port: string;
  /** Put before a command, makes it run in there. */
  readonly inside: Command;
}

/** Where the hub is reached on the network for control. */
export const HUB_ADDRESS = '10.78.0.254';
/** Nodes that the addresses below suffice for. */
export const MOST_NODES = 250;

/** Where a network namespace keeps it. */
const CONGESTION_CONTROL = '/proc/sys/net/ipv4/tcp_congestion_control';

/** A node's device for its link. */
const CARD = 'eth0';

/** What a link may send at once after a pause: one packet as the kernel hands it down uncut, and not much more. */
const BURST_BYTES = 80 * 1024;
/** What waits longer than this is dropped, as a switch does. */
const QUEUE_MS = 50;

/** The node with this number, from 0. */
export function labNode(number: number): LabNode {
  const name = `n${number}`;
  return {
    name,
    address: `10.77.0.${number + 1}`,
    controlAddress: `10.78.0.${number + 1}`,
    port: `p${number}`,
    inside: ['nsenter', `--net=/run/netns/${name}`],
  };
}

/** What makes the two bridges. */
export function hubCommands(): readonly Command[] {
  return [
    ['ip', 'link', 'set', 'lo', 'up'],
    ['ip', 'link', 'add', 'shaped', 'type', 'bridge'],
    ['ip', 'link', 'set', 'shaped', 'up'],
    ['ip', 'link', 'add', 'control', 'type', 'bridge'],
    ['ip', 'addr', 'add', `${HUB_ADDRESS}/24`, 'dev', 'control'],
    ['ip', 'link', 'set', 'control', 'up'],
  ];
}

/** What makes a node, without its link. */
export function nodeCommands(
  node: LabNode,
  { congestionControl }: Pick<LinkOptions, 'congestionControl'>,
): readonly Command[] {
  const { name, inside } = node;
  return [
    ['ip', 'netns', 'add', name],
    ['ip', '-n', name, 'link', 'set', 'lo', 'up'],
    // A new namespace has what the machine has, whatever that is.
    [...inside, 'sh', '-c', `echo ${congestionControl} > ${CONGESTION_CONTROL}`],
    vethCommand(node, { card: 'ctl0', port: `c${node.port}` }),
    ...cardCommands(node, { card: 'ctl0', port: `c${node.port}`, bridge: 'control', address: node.controlAddress }),
  ];
}

/** What gives a node a link that carries `mbit` Mbit/s each way. With a userland shaper that has made the devices already. */
export function linkCommands(
  node: LabNode,
  { mbit, shaper }: { readonly mbit: number; readonly shaper: Shaper },
): readonly Command[] {
  const { name, port } = node;
  const attach = cardCommands(node, { card: CARD, port, bridge: 'shaped', address: node.address });
  if (shaper === 'userland') return attach;
  return [
    vethCommand(node, { card: CARD, port }),
    ...attach,
    ...shapeCommands(shaper, mbit, CARD).map((command): Command => ['tc', '-n', name, ...command]),
    ...shapeCommands(shaper, mbit, port).map((command): Command => ['tc', ...command]),
  ];
}

/** The same for the userland shaper. */
export function userlandLink({ name, port }: LabNode, mbit: number): Link {
  return {
    namespace: `/run/netns/${name}`,
    ...{ card: CARD, port },
    bytesPerSecond: (mbit * 1e6) / 8,
    burstBytes: BURST_BYTES,
    limitBytes: limitBytesOf(mbit),
  };
}

/** What takes a node away; its processes have ended before. */
export function removeCommands({ name }: LabNode): readonly Command[] {
  return [['ip', 'netns', 'del', name]];
}

/** What takes the bridges away. */
export function removeHubCommands(): readonly Command[] {
  return [
    ['ip', 'link', 'del', 'shaped'],
    ['ip', 'link', 'del', 'control'],
  ];
}

/** What shapes one card, without the `tc` before it. */
export function shapeCommands(
  shaper: Exclude<Shaper, 'userland'>,
  mbit: number,
  card: string,
): readonly (readonly string[])[] {
  const [rate, burst, limit] = [`${mbit}mbit`, String(BURST_BYTES), String(limitBytesOf(mbit))];
  const add = ['qdisc', 'add', 'dev', card];
  if (shaper === 'tbf') return [[...add, 'root', 'tbf', 'rate', rate, 'burst', burst, 'limit', limit]];
  const hierarchy = [...add, 'root', 'handle', '1:', 'htb', 'default', '1'];
  const link = ['class', 'add', 'dev', card, 'parent', '1:', 'classid', '1:1', 'htb', 'rate', rate];
  return [
    hierarchy,
    [...link, 'burst', burst, 'cburst', burst],
    [...add, 'parent', '1:1', 'handle', '10:', 'bfifo', 'limit', limit],
  ];
}

function limitBytesOf(mbit: number): number {
  return Math.round((mbit * 1e6 * QUEUE_MS) / 1000 / 8) + BURST_BYTES;
}

function vethCommand({ name }: LabNode, { card, port }: { readonly card: string; readonly port: string }): Command {
  return ['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', card, 'netns', name];
}

function cardCommands(
  { name }: LabNode,
  options: { readonly card: string; readonly port: string; readonly bridge: string; readonly address: string },
): readonly Command[] {
  const { card, port, bridge, address } = options;
  return [
    ['ip', 'link', 'set', port, 'master', bridge, 'up'],
    ['ip', '-n', name, 'addr', 'add', `${address}/24`, 'dev', card],
    ['ip', '-n', name, 'link', 'set', card, 'up'],
  ];
}
