/*
 * What went over the links: readings of the kernel's counters, and what they say about how well links were used.
 */

/** Bytes that a node has sent and received over its shaped link since it was made. */
export interface Traffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** The traffic of all nodes at one moment. */
export interface Reading {
  readonly atMs: number;
  readonly nodes: readonly Traffic[];
}

/** Places in a line of /proc/net/dev (proc_pid_net(5)), after the card's name. */
const RECEIVED = 0;
const SENT = 8;

/**
 * The traffic of nodes, by the hub's cards for their links, in the text of its /proc/net/dev. What the hub receives on a
 * card is what the node sent. Throws when a card is missing.
 */
export function parseNetDev(text: string, ports: readonly string[]): readonly Traffic[] {
  const counters = new Map<string, readonly number[]>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const numbers = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    counters.set(line.slice(0, colon).trim(), numbers);
  }
  return ports.map((port) => {
    const numbers = counters.get(port);
    const sentBytes = numbers?.[RECEIVED];
    const receivedBytes = numbers?.[SENT];
    if (sentBytes === undefined || receivedBytes === undefined) throw new Error(`/proc/net/dev has no card ${port}`);
    return { sentBytes, receivedBytes };
  });
}

/**
 * Bytes that passed a shaper, in the JSON of `tc -j -s qdisc show dev CARD`: every packet with its headers, which the
 * counters of cards leave out where the kernel hands several packets on as one.
 */
export function parseShapedBytes(json: string): number {
  const disciplines = JSON.parse(json) as readonly { readonly root?: boolean; readonly bytes?: number }[];
  const bytes = disciplines.find(({ root }) => root === true)?.bytes;
  if (bytes === undefined) throw new Error(`no shaper in ${json}`);
  return bytes;
}

/** How well links were used in one slice of a run, 1 being all that they can carry. */
export interface LinkUse {
  /** Of the first holder's uplink. */
  readonly firstUplink: number;
  /** Of the other nodes' uplinks, on average. */
  readonly otherUplinks: number;
  /** Of the other nodes' downlinks, on average. */
  readonly downlinks: number;
}

/** The use of links in `slices` equal slices of time from the first reading to the last; node 0 is the first holder. */
export function linkUse(readings: readonly Reading[], rates: readonly number[], slices: number): readonly LinkUse[] {
  const [first, last] = [readings[0], readings.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return [];
  const sliceMs = (last.atMs - first.atMs) / slices;
  const capacities = rates.map((mbit) => (mbit * 1e6 * sliceMs) / 1000 / 8);
  return Array.from({ length: slices }, (_, slice) => {
    const [from, to] = [slice, slice + 1].map((at) => trafficAt(readings, first.atMs + at * sliceMs));
    const uses = capacities.map((capacity, node) => ({
      up: ((to?.[node]?.sentBytes ?? 0) - (from?.[node]?.sentBytes ?? 0)) / capacity,
      down: ((to?.[node]?.receivedBytes ?? 0) - (from?.[node]?.receivedBytes ?? 0)) / capacity,
    }));
    const others = uses.slice(1);
    return {
      firstUplink: uses[0]?.up ?? 0,
      otherUplinks: mean(others.map(({ up }) => up)),
      downlinks: mean(others.map(({ down }) => down)),
    };
  });
}

/** Between two readings traffic is taken to be even. */
function trafficAt(readings: readonly Reading[], atMs: number): readonly Traffic[] {
  const next = readings.findIndex((reading) => reading.atMs >= atMs);
  const after = readings[next < 0 ? readings.length - 1 : next];
  const before = readings[Math.max(0, (next < 0 ? readings.length : next) - 1)];
  if (after === undefined || before === undefined) return [];
  const span = after.atMs - before.atMs;
  const share = span === 0 ? 1 : Math.min(1, (atMs - before.atMs) / span);
  return after.nodes.map((traffic, node) => {
    const start = before.nodes[node] ?? traffic;
    return {
      sentBytes: start.sentBytes + share * (traffic.sentBytes - start.sentBytes),
      receivedBytes: start.receivedBytes + share * (traffic.receivedBytes - start.receivedBytes),
    };
  });
}

function mean(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
