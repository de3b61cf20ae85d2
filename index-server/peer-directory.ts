import type { Catalog, PeerRow } from './catalog.js';
import { PeerRows } from './peer-rows.js';
import type { PodVerdicts } from './pods/pod-verdicts.js';

/** How long a peer that has gone is still shown, in milliseconds. */
export const GONE_KEPT_MS = 3_600_000;

/** What a peer is at a time. */
export type PeerState = 'live' | 'draining' | 'gone';

/** What a peer is at `now` by its own word: what it says while its lease runs, `gone` after that. */
export function stateOf(peer: PeerRow, now: number): PeerState {
  return peer.state === 'withdrawn' || peer.leaseUntil <= now ? 'gone' : peer.state;
}

function withPods(own: PeerState, row: PeerRow, pods: PodVerdicts): PeerState {
  return own === 'gone' ? own : (pods.of(row) ?? own);
}

/** What {@link PeerDirectory} needs. */
export interface PeerDirectoryDeps {
  readonly catalog: Catalog;
  readonly pods: PodVerdicts;
  now(): number;
}

/** A peer with what it is now. */
export interface ListedPeer {
  readonly row: PeerRow;
  readonly state: PeerState;
}

/** The peers at a time, sorted out. */
interface View {
  readonly rowsVersion: number;
  readonly podsVersion: number;
  readonly madeAtMs: number;
  /** When the first lease ends, which changes it, or its figures are old. */
  readonly untilMs: number;
  readonly live: readonly PeerRow[];
  readonly gone: readonly PeerRow[];
  readonly unfit: UnfitPeers;
  readonly leaving: ReadonlySet<string>;
}

/** Names of peers that have a lease and are not to be offered all the same. */
export interface UnfitPeers {
  /** Their pods are gone: they are in no answer. */
  readonly gone: readonly string[];
  /** They are leaving: nothing new should begin with them. */
  readonly draining: readonly string[];
}

/** How long peers that come and go are gathered before the view is made anew, in milliseconds a peer: its cost grows with them. */
const GATHER_MS_A_PEER = 0.01;
/** Every thousand peers make a look at all of them so much rarer, as they do heartbeats. */
const PEERS_A_MAX_AGE = 1000;

/**
 * The peers: what the store knows of them, what this server wrote since, and what their pods say. The store is read for
 * what other servers write; each heartbeat answer needs the peers, so that is done at most once in `maxAgeMs` a thousand
 * peers.
 */
export class PeerDirectory {
  readonly #deps: PeerDirectoryDeps;
  readonly #maxAgeMs: number;
  readonly #rows = new PeerRows();
  /** When the last read began that went well. */
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #view: View | undefined;

  constructor(deps: PeerDirectoryDeps, options: { readonly maxAgeMs: number }) {
    this.#deps = deps;
    this.#maxAgeMs = options.maxAgeMs;
  }

  /** The rows of all peers, those that went within the hour included, in order of name: their own word, without the pods. */
  async rows(): Promise<readonly PeerRow[]> {
    await this.#refresh();
    return this.#rows.list;
  }

  /** All peers, in order of name, with what they are by their word and by their pods. */
  async all(): Promise<readonly ListedPeer[]> {
    await this.#refresh();
    const { pods } = this.#deps;
    const now = this.#deps.now();
    return this.#rows.list.map((row) => ({ row, state: withPods(stateOf(row, now), row, pods) }));
  }

  /** Peers that take work. */
  async live(): Promise<readonly PeerRow[]> {
    return (await this.#now()).live;
  }

  /** Peers that went within the hour, in order of name. */
  async gone(): Promise<readonly PeerRow[]> {
    return (await this.#now()).gone;
  }

  /** Peers that the store takes for better than they are. */
  async unfit(): Promise<UnfitPeers> {
    return (await this.#now()).unfit;
  }

  /** Peers that by their own word take no work any more. */
  async leaving(): Promise<ReadonlySet<string>> {
    return (await this.#now()).leaving;
  }

  /** This server wrote the row of a peer. */
  note(row: PeerRow): void {
    this.#rows.note(row);
  }

  /** Reads the store now: what other servers have written until this call is known after it. */
  renew(): Promise<void> {
    return this.#read();
  }

  /** Pods stopped serving: finds out which processes were in them, which is what makes it count. */
  podsChanged(): Promise<void> {
    return this.#read();
  }

  /** Makes sure that what is known of the store is not too old. */
  async #refresh(): Promise<void> {
    const ageMs = this.#deps.now() - this.#readAtMs;
    const maxAgeMs = this.#ageLimitMs();
    if (ageMs < maxAgeMs) return;
    const reading = this.#reading ?? this.#read();
    if (ageMs >= 2 * maxAgeMs) await reading;
    // Nobody waits for it as long as what is known is not too old. If it fails, the next one to ask does, and is told.
    else reading.catch(() => undefined);
  }

  /** The more peers there are, the more it costs to look at all of them. */
  #ageLimitMs(): number {
    return this.#maxAgeMs * Math.max(1, this.#rows.size / PEERS_A_MAX_AGE);
  }

  #read(): Promise<void> {
    const reading = this.#readRows().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #readRows(): Promise<void> {
    const { catalog, pods, now } = this.#deps;
    const beganMs = now();
    const stopped = pods.takePending();
    const read = this.#rows.beginRead();
    try {
      const rows = await catalog.peers(beganMs - GONE_KEPT_MS);
      this.#rows.endRead(read, rows);
      pods.note(stopped, this.#rows.list);
      this.#readAtMs = beganMs;
    } catch (error) {
      this.#rows.endRead(read, undefined);
      pods.putBack(stopped);
      this.#readAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  async #now(): Promise<View> {
    const { pods } = this.#deps;
    await this.#refresh();
    const now = this.#deps.now();
    const rowsVersion = this.#rows.version;
    const view = this.#view;
    if (view !== undefined && now < view.untilMs) {
      const isSame = view.rowsVersion === rowsVersion && view.podsVersion === pods.version;
      if (isSame || now < view.madeAtMs + Math.floor(this.#rows.size * GATHER_MS_A_PEER)) return view;
    }
    this.#view = {
      rowsVersion,
      madeAtMs: now,
      ...viewOf(this.#rows.list, pods, { now, maxAgeMs: this.#ageLimitMs() }),
    };
    return this.#view;
  }
}

function viewOf(
  rows: readonly PeerRow[],
  pods: PodVerdicts,
  { now, maxAgeMs }: { readonly now: number; readonly maxAgeMs: number },
): Omit<View, 'rowsVersion' | 'madeAtMs'> {
  const live: PeerRow[] = [];
  const gone: PeerRow[] = [];
  const unfit = { gone: [] as string[], draining: [] as string[] };
  const leaving = new Set<string>();
  let untilMs = now + maxAgeMs;
  for (const row of rows) {
    const own = stateOf(row, now);
    const state = withPods(own, row, pods);
    if (row.state !== 'live') leaving.add(row.name);
    if (state === 'live') live.push(row);
    else if (own !== 'gone') unfit[state].push(row.name);
    if (state === 'gone') gone.push(row);
    if (own !== 'gone') untilMs = Math.min(untilMs, row.leaseUntil);
  }
  return { podsVersion: pods.version, untilMs, live, gone, unfit, leaving };
}
