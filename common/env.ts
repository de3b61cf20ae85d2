import { ShoalError } from './errors.js';

/**
 * Reads one program's environment and collects everything that is wrong with it, so that a person mends it in one go.
 * Read all settings, then call {@link finish}. An empty variable counts as unset; zero is a value.
 */
export class EnvReader {
  readonly #env: NodeJS.ProcessEnv;
  readonly #problems: string[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  optional(name: string): string | undefined {
    const value = this.#env[name];
    return value === undefined || value === '' ? undefined : value;
  }

  string(name: string, fallback?: string): string {
    const value = this.optional(name) ?? fallback;
    if (value !== undefined) return value;
    this.problem(`${name} is not set`);
    return '';
  }

  /** A whole number, in the bounds given. */
  int(name: string, options: { readonly fallback: number; readonly min?: number; readonly max?: number }): number {
    const text = this.optional(name);
    if (text === undefined) return options.fallback;
    const value = Number(text);
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    this.problem(`${name} is '${text}', not a whole number from ${min} to ${max}`);
    return options.fallback;
  }

  port(name: string, fallback: number): number {
    return this.int(name, { fallback, min: 0, max: 65535 });
  }

  /** A size in bytes: a whole number, or one with a unit of 1,000 (k, M, G, T) or 1,024 (Ki, Mi, Gi, Ti). */
  bytes(name: string, fallback: number): number {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    const match = /^(\d+)([kMGT]i?|Ki)?B?$/.exec(text);
    const value = match === null ? Number.NaN : Number(match[1]) * unitBytes(match[2]);
    if (Number.isSafeInteger(value)) return value;
    this.problem(`${name} is '${text}', not a size such as 500M, 20Gi or 1048576`);
    return fallback;
  }

  bool(name: string, fallback: boolean): boolean {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    if (text === 'true' || text === '1') return true;
    if (text === 'false' || text === '0') return false;
    this.problem(`${name} is '${text}', not true or false`);
    return fallback;
  }

  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.optional(name);
    if (text === undefined) return fallback;
    const choice = choices.find((candidate) => candidate === text);
    if (choice !== undefined) return choice;
    this.problem(`${name} is '${text}', not one of ${choices.join(', ')}`);
    return fallback;
  }

  /** An http or https base URL, without a trailing slash. */
  url(name: string, fallback: string): string {
    const text = this.string(name, fallback);
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol === 'http:' || url?.protocol === 'https:') return text.replace(/\/+$/, '');
    this.problem(`${name} is '${text}', not a URL such as http://127.0.0.1:5000`);
    return fallback;
  }

  /** Adds a problem that the caller found, such as two settings that contradict each other. */
  problem(text: string): void {
    this.#problems.push(text);
  }

  /** Throws `invalid` with all problems in one message, if there are any. */
  finish(): void {
    if (this.#problems.length === 0) return;
    throw new ShoalError('invalid', `the environment is wrong: ${this.#problems.join('; ')}`, {
      hint: 'the README lists every SHOAL_* variable',
    });
  }
}

function unitBytes(unit: string | undefined): number {
  if (unit === undefined) return 1;
  const power = 'kMGT'.indexOf(unit.charAt(0) === 'K' ? 'k' : unit.charAt(0)) + 1;
  return (unit.endsWith('i') ? 1024 : 1000) ** power;
}
