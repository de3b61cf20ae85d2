import type { Logger } from '../../common/log.js';

/**
 * Why a connection came to nothing before it could say what it wants.
 * - plaintext: it spoke no TLS, which is wanted here; tls: it spoke TLS, which is not spoken here
 * - certificate: it showed none, or one that is not accepted
 * - handshake: anything else about TLS
 */
export const REFUSAL_REASONS = ['plaintext', 'tls', 'certificate', 'handshake'] as const;

/** One of {@link REFUSAL_REASONS}. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Who tries in vain tries again and again: the log has one line in so long, for each reason. */
const SILENT_MS = 60_000;

/** Counts connections that were refused, and tells people of them without filling the log. */
export class Refusals {
  readonly #deps: {
    readonly log: Logger;
    readonly count: (reason: RefusalReason) => void;
    readonly now: () => number;
  };
  readonly #toldAtMs = new Map<RefusalReason, number>();

  constructor(deps: {
    readonly log: Logger;
    readonly count: (reason: RefusalReason) => void;
    /** Milliseconds. */
    readonly now: () => number;
  }) {
    this.#deps = deps;
  }

  note(reason: RefusalReason, facts: { readonly from: string | undefined; readonly detail: string }): void {
    const { log, count, now } = this.#deps;
    count(reason);
    const nowMs = now();
    if (nowMs - (this.#toldAtMs.get(reason) ?? Number.NEGATIVE_INFINITY) < SILENT_MS) return;
    this.#toldAtMs.set(reason, nowMs);
    log.warn({ reason, ...facts }, 'refused a connection; more of the kind within a minute are only counted');
  }
}
