import { abortError, toShoalError } from '../common/errors.js';
import type { HandedOver } from '../index-server/api/peers.js';
import { LIMITS } from '../index-server/api/values.js';
import type { IndexClient } from '../index-server/client.js';
import type { ChunkStore } from './chunk-store.js';
import type { IndexWait, WaitListener } from './index-wait.js';
import type { Membership } from './membership.js';

/*
 * Handing over: the index is asked about every file that is wholly here, some at a time, whether somebody who stays has it
 * too, and has those copied that nobody has. What was not safe is asked about again until it is; then all of it is asked
 * about once more, because whoever had a copy may have gone meanwhile. Only such a last round ends well.
 */

/** How long to wait at least, and at most, before asking again about what is not safe. */
const PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;
/** The same in parts of the time that asking took: with many files it is work for the index, and for who copies them. */
const PAUSE_PARTS = 4;

/** Why a file is on no peer that stays, in the words of the index. */
export type NotSafe = HandedOver['rest'][number]['state'];

/** A file that only this peer has. */
export interface SoleCopy {
  readonly id: string;
  readonly size: number;
  readonly state: NotSafe;
}

/** How far a hand-over is. */
export interface HandOverProgress {
  readonly files: number;
  readonly bytes: number;
  /** Of those, on other peers too. */
  readonly safeFiles: number;
  readonly safeBytes: number;
}

/** How a hand-over ended; it went well when nothing is left. */
export interface HandOverOutcome extends HandOverProgress {
  readonly left: readonly SoleCopy[];
}

/** What a {@link HandOver} works with. */
export interface HandOverDeps {
  readonly store: Pick<ChunkStore, 'list'>;
  readonly index: Pick<IndexClient, 'handOver'>;
  readonly membership: Pick<Membership, 'auth' | 'peerName' | 'incarnation'> & { beatNow(): void };
  readonly now: () => number;
  /** Resolves after some time, or rejects when the signal fires. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** How long one may go on. */
export interface HandOverOptions extends WaitListener {
  /** For an index that is away. */
  readonly wait: Pick<IndexWait, 'run'>;
  /** How long all that is left may be what nobody can take, before that is the result. */
  readonly stuckMs: number;
  readonly onProgress: (progress: HandOverProgress, left: readonly SoleCopy[]) => void;
}

/** Gives to other peers what only this one has. It must say in its heartbeats that it is draining. */
export class HandOver {
  readonly #deps: HandOverDeps;

  constructor(deps: HandOverDeps) {
    this.#deps = deps;
  }

  /** Goes on until nothing is left, or nobody can take what is. Throws `unavailable` when the index stays away. */
  async run(options: HandOverOptions, signal: AbortSignal): Promise<HandOverOutcome> {
    const { now } = this.#deps;
    let asked: ReadonlySet<string> | undefined;
    let stuckSinceMs: number | undefined;
    for (;;) {
      const beganMs = now();
      const held = this.#held();
      const ids = [...held.keys()].filter((id) => asked === undefined || asked.has(id));
      const left = await this.#ask(ids, held, { options, signal });
      const outcome = outcomeOf(held, left);
      options.onProgress(outcome, left);
      if (left.length === 0 && asked === undefined) return outcome;
      asked = left.length === 0 ? undefined : new Set(left.map(({ id }) => id));
      if (left.length === 0) continue;
      // With all others nothing happens until somebody joins, makes room, or the index learns of them.
      if (left.some(({ state }) => state === 'copying')) stuckSinceMs = undefined;
      else stuckSinceMs ??= now();
      if (stuckSinceMs !== undefined && now() - stuckSinceMs >= options.stuckMs) return outcome;
      await this.#pause(PAUSE_PARTS * (now() - beganMs), signal);
    }
  }

  /** Size of each file that is wholly here and published. */
  #held(): ReadonlyMap<string, number> {
    const files = this.#deps.store.list().filter(({ isComplete, records }) => isComplete && records.length > 0);
    return new Map(files.map(({ id, size }) => [id, size]));
  }

  async #ask(
    ids: readonly string[],
    held: ReadonlyMap<string, number>,
    how: { readonly options: HandOverOptions; readonly signal: AbortSignal },
  ): Promise<readonly SoleCopy[]> {
    const left: SoleCopy[] = [];
    for (let start = 0; start < ids.length; start += LIMITS.handOver) {
      const { rest } = await this.#askPage(ids.slice(start, start + LIMITS.handOver), how);
      for (const { id, state } of rest) left.push({ id, size: held.get(id) ?? 0, state });
    }
    return left;
  }

  async #askPage(
    ids: readonly string[],
    { options, signal }: { readonly options: HandOverOptions; readonly signal: AbortSignal },
  ): Promise<HandedOver> {
    const { index, membership } = this.#deps;
    for (;;) {
      const body = { incarnation: membership.incarnation, ids: [...ids] };
      const call = () => index.handOver(membership.auth(), membership.peerName, body, signal);
      try {
        return await options.wait.run(call, options, signal);
      } catch (thrown) {
        const error = toShoalError(thrown);
        // It has not heard yet that we are draining, or does not know us any more: the next heartbeat mends both.
        if (!['conflict', 'not_found', 'unauthenticated'].includes(error.code)) throw error;
        options.onWaiting?.(error.message);
        membership.beatNow();
        await this.#pause(0, signal);
      }
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.delay(Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, ms)), signal);
    } catch {
      throw abortError(signal);
    }
  }
}

function outcomeOf(held: ReadonlyMap<string, number>, left: readonly SoleCopy[]): HandOverOutcome {
  const bytes = sum(held.values());
  return {
    files: held.size,
    bytes,
    safeFiles: held.size - left.length,
    safeBytes: bytes - sum(left.map(({ size }) => size)),
    left,
  };
}

function sum(sizes: Iterable<number>): number {
  let total = 0;
  for (const size of sizes) total += size;
  return total;
}
