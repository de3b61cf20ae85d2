import { abortError, ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { IndexClient } from '../index-server/client.js';
import type { HandOver, HandOverOptions, HandOverOutcome, SoleCopy } from './hand-over.js';
import { IndexWait } from './index-wait.js';
import type { Membership } from './membership.js';
import type { PeerMetrics } from './metrics.js';
import type { WorkGate } from './work-gate.js';

/*
 * When this peer hands over. By hand, with `shoal drain`: it takes no files from then on, until that is taken back or the
 * process ends. And when it is told to stop and will not be back: its storage goes with it, or its place in the StatefulSet
 * is given up, or it was drained by hand. A restart is neither, and costs one question to the index at the most.
 */

/** When to hand over before stopping; `scale-down` asks the index whether the pod comes back. */
export const HAND_OVER_TIMES = ['never', 'scale-down', 'always'] as const;
/** When to hand over before stopping. */
export type HandOverTime = (typeof HAND_OVER_TIMES)[number];

/** What a {@link Drain} works with. */
export interface DrainDeps {
  readonly gate: WorkGate;
  readonly handOver: Pick<HandOver, 'run'>;
  readonly index: Pick<IndexClient, 'place'>;
  readonly membership: Pick<Membership, 'auth' | 'peerName'> & { setDraining(isDraining: boolean): void };
  /** For an index that is away while somebody waits. */
  readonly wait: IndexWait;
  readonly metrics: PeerMetrics;
  readonly log: Logger;
}

/** Times, in milliseconds. */
export interface DrainOptions {
  readonly when: HandOverTime;
  /** How long all that is left may be what nobody can take, before a drain by hand ends. */
  readonly stuckMs: number;
  /** The same when the process is to stop. */
  readonly stuckLeavingMs: number;
  /** How long the index may be away when the process is to stop. */
  readonly waitLeavingMs: number;
}

/** Ids of files in a line of the log. */
const IDS_LOGGED = 10;

/** Takes this peer out of work and hands over. */
export class Drain {
  readonly #deps: DrainDeps;
  readonly #options: DrainOptions;
  #isLeaving = false;
  #undone = new AbortController();
  #left = 0;

  constructor(deps: DrainDeps, options: DrainOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Files that only this peer had when last looked at, while it drains. */
  get filesLeft(): number {
    return this.#left;
  }

  /** Takes no files from now on, and hands over. What `signal` ends is the waiting, not the drain. */
  async run(
    listener: Pick<HandOverOptions, 'onProgress' | 'onWaiting'>,
    signal: AbortSignal,
  ): Promise<HandOverOutcome> {
    this.#begin();
    const { wait } = this.#deps;
    const either = AbortSignal.any([signal, this.#undone.signal]);
    return this.#handOver({ ...listener, wait, stuckMs: this.#options.stuckMs }, either);
  }

  /** Takes files again. Those that were handed over stay where they are. Throws `conflict` when the process is to stop. */
  undo(): void {
    const { gate, membership, log } = this.#deps;
    if (this.#isLeaving) throw new ShoalError('conflict', 'this peer is stopping; that cannot be taken back');
    if (gate.isOpen) return;
    log.info('no longer draining');
    gate.open();
    membership.setDraining(false);
    this.#left = 0;
    this.#undone.abort(new ShoalError('conflict', 'the drain was taken back'));
    this.#undone = new AbortController();
  }

  /**
   * The process is to stop: hands over within `limitMs` if this peer does not come back. Resolves to how many files go with
   * it that nobody else has; 0 when it comes back. Never rejects.
   */
  async beforeLeaving(limitMs: number): Promise<number> {
    const { gate, log } = this.#deps;
    this.#isLeaving = true;
    const isDrained = !gate.isOpen;
    gate.close();
    if (!isDrained && !(await this.#isLastTime())) return 0;
    log.info({ limitMs }, 'handing over before leaving');
    this.#begin();
    const wait = new IndexWait({ log }, { waitMs: Math.min(limitMs, this.#options.waitLeavingMs) });
    const stuckMs = this.#options.stuckLeavingMs;
    let left: readonly SoleCopy[] = [];
    const onProgress = (_progress: object, now: readonly SoleCopy[]) => {
      left = now;
    };
    try {
      const limit = AbortSignal.timeout(limitMs);
      left = (await this.#handOver({ wait, stuckMs, onProgress }, limit)).left;
    } catch {
      // Counted and logged where it happened.
    }
    return left.length;
  }

  #begin(): void {
    const { gate, membership, log } = this.#deps;
    if (gate.isOpen) log.info('draining: taking no new files');
    gate.close();
    membership.setDraining(true);
  }

  async #handOver(options: HandOverOptions, signal: AbortSignal): Promise<HandOverOutcome> {
    const { handOver, metrics, log } = this.#deps;
    const onProgress: HandOverOptions['onProgress'] = (progress, left) => {
      this.#left = left.length;
      options.onProgress(progress, left);
    };
    try {
      const outcome = await handOver.run({ ...options, onProgress }, signal);
      const { files, bytes, left } = outcome;
      const failure = failureOf(left);
      metrics.handOvers.inc({ code: failure?.code ?? 'ok' });
      if (failure === undefined) log.info({ files, bytes }, 'handed over: every file is on another peer too');
      else log.warn({ error: failure, ...described(left) }, 'some files are on no other peer');
      return outcome;
    } catch (thrown) {
      const error = signal.aborted ? abortError(signal) : toShoalError(thrown);
      metrics.handOvers.inc({ code: error.code });
      log.warn({ error, files: this.#left }, 'a hand-over did not end');
      throw error;
    }
  }

  /** Whether what is here is lost to the swarm when this process ends. */
  async #isLastTime(): Promise<boolean> {
    const { when, waitLeavingMs } = this.#options;
    if (when !== 'scale-down') return when === 'always';
    const { index, membership, metrics, log } = this.#deps;
    try {
      const limit = AbortSignal.timeout(waitLeavingMs);
      return (await index.place(membership.auth(), membership.peerName, limit)) === 'given_up';
    } catch (thrown) {
      const error = toShoalError(thrown);
      metrics.handOvers.inc({ code: error.code });
      log.warn({ error }, 'could not ask whether this pod comes back; leaving as for a restart');
      return false;
    }
  }
}

/** Why some files have no place: undefined when none is left. */
export function failureOf(left: readonly SoleCopy[]): ShoalError | undefined {
  if (left.length === 0) return undefined;
  const count = (state: SoleCopy['state']) => left.filter((file) => file.state === state).length;
  const of = left.length === 1 ? '1 file is' : `${left.length} files are`;
  if (count('no_space') > 0) {
    return new ShoalError('exhausted', `${of} only on this peer: no other peer has room for ${count('no_space')}`, {
      hint: 'add a peer, or make room: shoal peers tells what is free',
    });
  }
  if (count('no_peer') > 0) {
    return new ShoalError('unavailable', `${of} only on this peer: no other peer is live`, {
      hint: 'start another peer, or see where they are: shoal peers',
    });
  }
  return new ShoalError('unavailable', `${of} only on this peer, and the index does not know them yet`, {
    hint: 'try again in a moment; shoal doctor tells what is wrong with this peer',
  });
}

function described(left: readonly SoleCopy[]) {
  return { files: left.length, ids: left.slice(0, IDS_LOGGED).map(({ id }) => id) };
}
