import { ShoalError } from '../../common/errors.js';
import { waitingText } from '../index-wait.js';

/*
 * How long a fetch goes on while nobody has anything for it, what those who wait are told meanwhile, and how it fails in
 * the end. Pure: time comes in as milliseconds of any steady clock.
 */

/** When nobody has had anything for so long, those who wait are told, in milliseconds. */
const TELL_WAITING_MS = 1_000;
/** With proof of damage and nobody else left, there is no use in waiting longer than this, in milliseconds. */
const DAMAGED_PATIENCE_MS = 2_000;

/** What is known while nobody has anything for a fetch. */
export interface Shortage {
  /** The index could not be asked when it was asked last. */
  readonly isIndexAway: boolean;
  /** Names of peers that have all of the file, are not here, and may come back. */
  readonly away: readonly string[];
  /** Some copy is damaged: one here, or that of another peer. */
  readonly isDamaged: boolean;
  /** Whoever is connected says that its copy is damaged, or nobody is connected. */
  readonly isNobodyElse: boolean;
  /** Why a peer could not be talked to, where its error says what to do. */
  readonly trouble: ShoalError | undefined;
}

/** What follows from a shortage: something to tell, and an end, or neither yet. */
export interface Judgement {
  /** Why nothing moves, and how long it will be waited for. */
  readonly waiting: string | undefined;
  /** `corrupt` when every copy in reach is damaged, otherwise `unavailable`. */
  readonly failure: ShoalError | undefined;
}

/** Settings of {@link Patience}. */
export interface PatienceOptions {
  readonly fileId: string;
  /** How long to go on without a source, in milliseconds. */
  readonly noSourceMs: number;
  /** The same where one may come back, or the index cannot say whether there is any. */
  readonly awayMs: number;
}

/** The patience of one fetch. */
export class Patience {
  readonly #options: PatienceOptions;
  #lastUsefulMs: number;
  /** Since somebody was last of use, there was a peer to wait for, or nobody to say that there is none. */
  #mayComeBack = false;

  constructor(options: PatienceOptions, nowMs: number) {
    this.#options = options;
    this.#lastUsefulMs = nowMs;
  }

  /** Somebody has something for us: all is well. */
  renew(nowMs: number): void {
    this.#lastUsefulMs = nowMs;
    this.#mayComeBack = false;
  }

  /** Nobody has: what to say of it. */
  judge(shortage: Shortage, nowMs: number): Judgement {
    // Once it did, the one that came back is given the rest of the time to answer.
    this.#mayComeBack ||= shortage.isIndexAway || shortage.away.length > 0;
    const { isDamaged, isNobodyElse } = shortage;
    const patienceMs = isDamaged && isNobodyElse ? DAMAGED_PATIENCE_MS : this.#withoutSourceMs;
    const idleMs = nowMs - this.#lastUsefulMs;
    return {
      waiting: idleMs < TELL_WAITING_MS ? undefined : waitingText(lackText(shortage), patienceMs - idleMs),
      failure: idleMs < patienceMs ? undefined : failureOf(shortage, this.#options.fileId),
    };
  }

  get #withoutSourceMs(): number {
    const { noSourceMs, awayMs } = this.#options;
    return this.#mayComeBack ? Math.max(noSourceMs, awayMs) : noSourceMs;
  }
}

function failureOf(shortage: Shortage, fileId: string): ShoalError {
  if (shortage.isDamaged) {
    return new ShoalError('corrupt', `every copy of ${fileId} that can be reached is damaged`, {
      hint: 'publish the file again from a good copy with: shoal put FILE',
    });
  }
  const { trouble } = shortage;
  return new ShoalError('unavailable', `no live peer has the missing parts of ${fileId}${whyNobody(shortage)}`, {
    cause: trouble,
    hint: trouble?.hint ?? 'see who holds it with: shoal stat REF, and who is live with: shoal peers',
  });
}

function lackText(shortage: Shortage): string {
  const index = shortage.isIndexAway ? ', and the index does not answer' : '';
  return `no live peer has the missing parts${whyNobody(shortage)}${index}`;
}

function whyNobody({ away, trouble }: Shortage): string {
  return (
    (away.length === 0 ? '' : `; away, and with all of it: ${away.join(', ')}`) +
    (trouble === undefined ? '' : `; ${trouble.message}`)
  );
}
