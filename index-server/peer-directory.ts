import type { Catalog, PeerRow } from './catalog.js';
import type { PodVerdicts } from './pods/pod-verdicts.js';

/** How long a peer that has gone is still shown, in milliseconds. */
export const GONE_KEPT_MS = 3_600_000;

/** What a peer is at a time. */
export type PeerState = 'live' | 'draining' | 'gone';

/** What a peer is at `now` by its own word: what it says while its lease runs, `gone` after that. */
export function stateOf(peer: PeerRow, now: number): PeerState {
  return peer.state === 'withdrawn' || peer.leaseUntil <= now ? 'gone' : peer.state;
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
  readonly rows: readonly PeerRow[];
  readonly podsVersion: number;
  /** When the first lease ends, which changes it. */
  readonly untilMs: number;
  readonly all: readonly ListedPeer[];
  readonly live: readonly PeerRow[];
  readonly unfit: UnfitPeers;
}

/** Names of peers that have a lease and are not to be offered all the same. */
export interface UnfitPeers {
  /** Their pods are gone: they are in no answer. */
  readonly gone: readonly string[];
  /** They are leaving: nothing new should begin with them. */
  readonly draining: readonly string[];
}

/**
 * The peers: what the store knows of them, read at most once in `maxAgeMs` (each heartbeat answer needs them, and with a
 * thousand peers there are hundreds of those a second), and what their pods say.
 */
export class PeerDirectory {
  readonly #deps: PeerDirectoryDeps;
  readonly #maxAgeMs: number;
  #snapshot: { readonly at: number; readonly rows: Promise<readonly PeerRow[]> } | undefined;
  #view: View | undefined;

  constructor(deps: PeerDirectoryDeps, options: { readonly maxAgeMs: number }) {
    this.#deps = deps;
    this.#maxAgeMs = options.maxAgeMs;
  }

  /** The rows of all peers, those that went within the hour included, in order of name: their own word, without the pods. */
  async rows(): Promise<readonly PeerRow[]> {
    const now = this.#deps.now();
    const snapshot = this.#snapshot;
    if (snapshot !== undefined && now - snapshot.at < this.#maxAgeMs) return snapshot.rows;
    const fresh = { at: now, rows: this.#read(now - GONE_KEPT_MS) };
    this.#snapshot = fresh;
    try {
      return await fresh.rows;
    } catch (error) {
      if (this.#snapshot === fresh) this.#snapshot = undefined;
      throw error;
    }
  }

  /** All peers, in order of name, with what they are by their word and by their pods. */
  async all(): Promise<readonly ListedPeer[]> {
    return (await this.#now()).all;
  }

  /** Peers that take work. */
  async live(): Promise<readonly PeerRow[]> {
    return (await this.#now()).live;
  }

  /** Peers that the store takes for better than they are. */
  async unfit(): Promise<UnfitPeers> {
    return (await this.#now()).unfit;
  }

  /** Somebody came or went: read again. */
  invalidate(): void {
    this.#snapshot = undefined;
  }

  /** Pods stopped serving: finds out which processes were in them, which is what makes it count. */
  async podsChanged(): Promise<void> {
    this.invalidate();
    await this.rows();
  }

  async #read(goneBefore: number): Promise<readonly PeerRow[]> {
    const { catalog, pods } = this.#deps;
    const stopped = pods.takePending();
    try {
      const rows = await catalog.peers(goneBefore);
      pods.note(stopped, rows);
      return rows;
    } catch (error) {
      pods.putBack(stopped);
      throw error;
    }
  }

  async #now(): Promise<View> {
    const { pods } = this.#deps;
    const rows = await this.rows();
    const now = this.#deps.now();
    const view = this.#view;
    if (view?.rows === rows && view.podsVersion === pods.version && now < view.untilMs) return view;
    this.#view = viewOf(rows, pods, now);
    return this.#view;
  }
}

function viewOf(rows: readonly PeerRow[], pods: PodVerdicts, now: number): View {
  const all: ListedPeer[] = [];
  const live: PeerRow[] = [];
  const unfit = { gone: [] as string[], draining: [] as string[] };
  let untilMs = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    const own = stateOf(row, now);
    const state = own === 'gone' ? own : (pods.of(row) ?? own);
    all.push({ row, state });
    if (state === 'live') live.push(row);
    else if (own !== 'gone') unfit[state].push(row.name);
    if (own !== 'gone') untilMs = Math.min(untilMs, row.leaseUntil);
  }
  return { rows, podsVersion: pods.version, untilMs, all, live, unfit };
}
