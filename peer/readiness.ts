import { isAway } from './index-wait.js';
import type { SwarmMembership } from './swarm-membership.js';

/** Where the process is in its life. Before `open` nothing but the probes answers. */
export type Phase = 'recovering' | 'open' | 'leaving';

/**
 * Whether this peer is ready: its doors are open, and it has joined, or it knows the index's keys from an earlier life while
 * the index is away. One that has joined stays ready when the index goes: it serves what it has, and so do all others.
 */
export class Readiness {
  readonly #membership: Pick<SwarmMembership, 'hasJoined' | 'swarmToken' | 'lastError'>;
  phase: Phase = 'recovering';

  constructor(deps: { readonly membership: Pick<SwarmMembership, 'hasJoined' | 'swarmToken' | 'lastError'> }) {
    this.#membership = deps.membership;
  }

  get isReady(): boolean {
    return this.reason === undefined;
  }

  /** Why it is not ready; undefined when it is. */
  get reason(): string | undefined {
    if (this.phase === 'recovering') return 'recovering the store';
    if (this.phase === 'leaving') return 'leaving';
    const { hasJoined, swarmToken, lastError } = this.#membership;
    if (hasJoined) return undefined;
    const hasRecalled = swarmToken !== undefined;
    if (hasRecalled && lastError !== undefined && isAway(lastError)) return undefined;
    return lastError === undefined ? 'joining' : `not joined yet: ${lastError.message}`;
  }
}
