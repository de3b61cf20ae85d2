import pRetry from 'p-retry';
import { abortError, ERROR_CODES, type ErrorCode, ShoalError } from '../common/errors.js';
import type { Problem } from './api/statements.js';
import { ON_BEHALF_HEADER } from './api/values.js';

/*
 * One request of the index client: sent, repeated where that does no harm, and its answer or failure understood. Below
 * it is fetch; above it nobody sees a header, or a status but where one is passed through.
 */

/** A request. `path` begins with a slash and is encoded. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly authorization?: string | undefined;
  readonly onBehalf?: string | undefined;
  readonly body?: unknown;
  /** Making the request twice is the same as making it once, so it is repeated when the connection fails. */
  readonly isIdempotent: boolean;
  readonly signal?: AbortSignal | undefined;
}

const RETRIES = 2;
const FIRST_RETRY_MS = 50;

/** Sends requests to `baseUrl`. Failures are as client.ts says. */
export class Transport {
  readonly #fetch: typeof fetch;
  readonly #baseUrl: string;
  readonly #timeoutMs: number;

  constructor(
    deps: { readonly fetch?: typeof fetch },
    options: { readonly baseUrl: string; readonly timeoutMs: number },
  ) {
    this.#fetch = deps.fetch ?? fetch;
    this.#baseUrl = options.baseUrl.replace(/\/+$/, '');
    this.#timeoutMs = options.timeoutMs;
  }

  /** The answer of a call that succeeded, taken to be what the contract says. */
  async json<T>(call: Call): Promise<T> {
    return this.#parse(await this.send(call)) as T;
  }

  /** Makes a call whose success says enough. */
  async send(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw problemError(this.#parse(answer), answer, this.#baseUrl);
  }

  /** Any answer in JSON, whatever its status. */
  async any(call: Call): Promise<{ readonly status: number; readonly body: unknown }> {
    const answer = await this.#exchange(call);
    return { status: answer.status, body: this.#parse(answer) };
  }

  async #exchange(call: Call): Promise<Answer> {
    const { signal, isIdempotent } = call;
    try {
      return await pRetry(() => this.#attempt(call), {
        retries: isIdempotent ? RETRIES : 0,
        minTimeout: FIRST_RETRY_MS,
        randomize: true,
        ...(signal !== undefined && { signal }),
        shouldRetry: ({ error }) => error instanceof NoAnswerError,
      });
    } catch (error) {
      // The signal may fire before, during and between attempts; it is always told as what it was.
      throw signal?.aborted === true ? abortError(signal) : error;
    }
  }

  async #attempt({ method, path, authorization, onBehalf, body, signal: caller }: Call): Promise<Answer> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal = caller === undefined ? timeout : AbortSignal.any([caller, timeout]);
    try {
      const response = await this.#fetch(`${this.#baseUrl}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(authorization !== undefined && { authorization }),
          ...(onBehalf !== undefined && { [ON_BEHALF_HEADER]: onBehalf }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // A credential is never carried on to wherever somebody redirects.
        redirect: 'error',
        signal,
      });
      return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() };
    } catch (cause) {
      if (timeout.aborted && caller?.aborted !== true) {
        throw new ShoalError('timeout', `the index at ${this.#baseUrl} did not answer in ${this.#timeoutMs} ms`, {
          cause,
        });
      }
      throw new NoAnswerError(this.#baseUrl, cause);
    }
  }

  #parse({ status, type, text }: Answer): unknown {
    if (/^application\/(problem\+)?json\b/.test(type)) {
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new ShoalError('unavailable', `the answer of ${this.#baseUrl} is not whole`, { cause });
      }
    }
    throw new ShoalError('unavailable', `what answers at ${this.#baseUrl} (status ${status}) is not a Shoal index`, {
      hint: 'check SHOAL_INDEX_URL',
    });
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** The connection failed: the request may or may not have arrived. */
class NoAnswerError extends ShoalError {
  constructor(baseUrl: string, cause: unknown) {
    super('unavailable', `the index at ${baseUrl} does not answer (${rootMessage(cause)})`, {
      cause,
      hint: 'is it running, and is SHOAL_INDEX_URL right?',
    });
  }
}

/** fetch hides what happened ("fetch failed") behind one or two causes. */
function rootMessage(error: unknown): string {
  const { cause, message, code, name } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (cause !== undefined) return rootMessage(cause);
  // Node leaves the message empty when it tried several addresses.
  return message || code || name || String(error);
}

function problemError(body: unknown, { status }: Answer, baseUrl: string): ShoalError {
  const problem = (body ?? {}) as Partial<Problem>;
  if (isErrorCode(problem.code)) return errorOf(problem);
  return new ShoalError('unavailable', `the index at ${baseUrl} answered with status ${status} and no problem`);
}

/** A problem that the index told, as it was before it became one. */
export function errorOf({ code, detail, hint, errors, candidates }: Partial<Problem>): ShoalError {
  if (!isErrorCode(code)) return new ShoalError('internal', detail ?? 'the index told a problem without a code');
  return new ShoalError(code, detail ?? code, {
    ...(hint !== undefined && { hint }),
    ...((errors ?? candidates) !== undefined && {
      details: { ...(errors && { errors }), ...(candidates && { candidates }) },
    }),
  });
}

function isErrorCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.some((known) => known === code);
}
