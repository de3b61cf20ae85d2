import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { ShoalError } from '../common/errors.js';

/** How many log-ins may fail, within `windowSeconds`. */
export interface LoginLimits {
  /** For one user name from one address. */
  readonly perUser: number;
  /** From one address, which may be a peer that many people log in through. */
  readonly perAddress: number;
  readonly windowSeconds: number;
}

/**
 * Slows guessing down: failed log-ins count, successful ones do not. An attempt is counted before it is made and taken
 * back when it succeeds, so that many at once gain nothing.
 */
export class LoginLimiter {
  readonly #perUser: RateLimiterMemory;
  readonly #perAddress: RateLimiterMemory;

  constructor(limits: LoginLimits) {
    this.#perUser = new RateLimiterMemory({ points: limits.perUser, duration: limits.windowSeconds });
    this.#perAddress = new RateLimiterMemory({ points: limits.perAddress, duration: limits.windowSeconds });
  }

  /** Counts an attempt. Throws `throttled`, with the seconds to wait, when there were too many. */
  async begin(username: string, address: string): Promise<void> {
    await take(this.#perAddress, address);
    await take(this.#perUser, userKey(username, address));
  }

  /** The attempt did not fail. */
  async takeBack(username: string, address: string): Promise<void> {
    await this.#perAddress.reward(address);
    await this.#perUser.reward(userKey(username, address));
  }
}

function userKey(username: string, address: string): string {
  return `${address} ${username.toLowerCase()}`;
}

async function take(limiter: RateLimiterMemory, key: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    const retryAfterSeconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
    throw new ShoalError('throttled', 'too many log-ins have failed', {
      hint: `try again in ${retryAfterSeconds} seconds`,
      details: { retryAfterSeconds },
    });
  }
}
