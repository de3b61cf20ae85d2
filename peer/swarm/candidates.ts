/*
 * Which peers to dial for a file, and when: a small pure table. A candidate that failed is left alone for a while that
 * doubles with each failure; one that sent wrong bytes is never dialled again.
 */

/** A peer that may hold the file. */
export interface Candidate {
  readonly peer: string;
  readonly address: string;
}

interface Entry extends Candidate {
  state: 'idle' | 'connected' | 'banned';
  failures: number;
  notBeforeMs: number;
  isComplete: boolean;
}

/** Short at first: one that has just begun to fetch the file itself may not be able to say so yet. */
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 8_000;

/** The candidates of one fetch. Times are milliseconds of any steady clock. */
export class Candidates {
  readonly #entries = new Map<string, Entry>();
  readonly #selfName: string;

  constructor(selfName: string) {
    this.#selfName = selfName;
  }

  /** Adds one, or takes over its new address: it has restarted and may be dialled at once. Never adds ourselves. */
  add(candidate: Candidate, isComplete: boolean): void {
    if (candidate.peer === this.#selfName) return;
    const known = this.#entries.get(candidate.peer);
    if (known === undefined || (known.address !== candidate.address && known.state !== 'banned')) {
      const state = known?.state === 'connected' ? 'connected' : 'idle';
      const { peer, address } = candidate;
      this.#entries.set(peer, { peer, address, state, failures: 0, notBeforeMs: 0, isComplete });
    } else {
      known.isComplete ||= isComplete;
    }
  }

  /** Up to `room` to dial now, complete holders first; they count as connected. */
  take(room: number, nowMs: number): Candidate[] {
    const ready = [...this.#entries.values()].filter((entry) => entry.state === 'idle' && entry.notBeforeMs <= nowMs);
    ready.sort((a, b) => a.failures - b.failures || Number(b.isComplete) - Number(a.isComplete));
    const taken = ready.slice(0, Math.max(0, room));
    for (const entry of taken) entry.state = 'connected';
    return taken;
  }

  /** The conversation ended without a fault, or was never of use: dial again no sooner than in a while. */
  ended(peer: string, nowMs: number): void {
    const entry = this.#entries.get(peer);
    if (entry === undefined || entry.state === 'banned') return;
    entry.state = 'idle';
    entry.notBeforeMs = nowMs + Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** entry.failures);
    entry.failures += 1;
  }

  /** It has called us, so it is there: it may be dialled at once, however it failed before. */
  seen(peer: string): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) Object.assign(entry, { failures: 0, notBeforeMs: 0 });
  }

  /** It works: forget earlier failures. */
  proved(peer: string): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) entry.failures = 0;
  }

  /** The index has just said that it is here: dial again soon. */
  expect(peer: string, nowMs: number): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) entry.notBeforeMs = Math.min(entry.notBeforeMs, nowMs + FIRST_BACKOFF_MS);
  }

  ban(peer: string): void {
    const entry = this.#entries.get(peer);
    if (entry !== undefined) entry.state = 'banned';
  }

  get bannedCount(): number {
    return [...this.#entries.values()].filter((entry) => entry.state === 'banned').length;
  }

  get connectedCount(): number {
    return [...this.#entries.values()].filter((entry) => entry.state === 'connected').length;
  }

  /** When the next one may be dialled; undefined when none is waiting. */
  nextReadyMs(): number | undefined {
    let earliest: number | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'idle') continue;
      if (earliest === undefined || entry.notBeforeMs < earliest) earliest = entry.notBeforeMs;
    }
    return earliest;
  }
}
