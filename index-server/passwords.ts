import { type Algorithm, hash, verify } from '@node-rs/argon2';
import { ShoalError } from '../common/errors.js';

/*
 * OWASP's second choice of parameters for argon2id (m = 19 MiB, t = 2, p = 1), some 20 ms each. How many run at once is
 * bounded, so that a flood of log-ins can take neither all memory nor all threads, and so is how many wait.
 */
const ARGON2ID: Algorithm.Argon2id = 2;
const ARGON2 = { algorithm: ARGON2ID, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** Of 32 random bytes that were thrown away: what a password is compared with when there is nothing else. */
const NOBODYS_HASH =
  '$argon2id$v=19$m=19456,t=2,p=1$BCQnUI1n+8x5RS0EI3jgUQ$cJSkStmK869w5/jfnauv4OSppia/S81paw488+XUYMQ';

/** Hashes and checks passwords, at most `concurrency` at once; `throttled` when `queue` others wait already. */
export class Passwords {
  readonly #options: { readonly concurrency: number; readonly queue: number };
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: { readonly concurrency: number; readonly queue: number }) {
    this.#options = options;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** The PHC string of a password. */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => hash(password, ARGON2));
  }

  /** Whether the password is right. Without a hash to compare with, false after the same time. */
  async matches(password: string, passwordHash: string | null): Promise<boolean> {
    return this.#inTurn(async () => {
      const isRight = await verify(passwordHash ?? NOBODYS_HASH, password);
      return isRight && passwordHash !== null;
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#options.concurrency) {
      if (this.#waiting.length >= this.#options.queue) {
        throw new ShoalError('throttled', 'too many people log in at this moment', {
          hint: 'try again in a second',
          details: { retryAfterSeconds: 1 },
        });
      }
      // Whoever finishes hands its place on, so #running stays as it is.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
