import type { CommanderError } from 'commander';
import { EXIT_STATUS, ShoalError, toShoalError } from '../../common/errors.js';
import type { OutputStream } from './io.js';
import { printable } from './text.js';

const EXIT_USAGE = 2;
/** Edits between a word and what may have been meant. */
const SLIPS = 2;

/** How a command ended that commander stopped: after showing help, or because the arguments make no sense. */
export function commanderFailure(error: CommanderError): ShoalError | { readonly exitCode: number } {
  if (error.exitCode === 0) return { exitCode: 0 };
  // Help shown because no command was given.
  if (error.code === 'commander.help') return { exitCode: EXIT_USAGE };
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const guesses = suggestion === undefined ? [] : nearOnes(message, suggestion);
  return new ShoalError('invalid', message, {
    cause: error,
    hint: guesses.length === 0 ? 'see: shoal help, or shoal COMMAND --help' : `did you mean ${guesses.join(' or ')}?`,
  });
}

/** Those of commander's suggestions that a slip of the finger explains; it finds more than that. */
function nearOnes(message: string, suggestion: string): readonly string[] {
  const word = /'([^']*)'/.exec(message)?.[1] ?? '';
  const listed = /\(Did you mean (?:one of )?(.*)\?\)/.exec(suggestion)?.[1];
  return listed?.split(', ').filter((guess) => editDistance(word, guess) <= SLIPS) ?? [];
}

/** How many characters must be put in, left out or replaced to make one word of the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [at, char] of [...from].entries()) {
    const next = [at + 1];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (char === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** Whether an error, or one behind it, says that nobody reads our output any more. */
export function isBrokenPipe(error: unknown): boolean {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = (cause as Error).cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EPIPE') return true;
  }
  return false;
}

/** Tells what went wrong on `stream`: one line, perhaps a second one with a hint. Returns the exit code. */
export function reportFailure(stream: OutputStream, thrown: unknown): number {
  const error = toShoalError(thrown);
  const hint = error.hint === undefined ? '' : `hint: ${printable(error.hint)}\n`;
  stream.write(`shoal: ${printable(error.message)}${candidates(error)}\n${hint}`);
  return EXIT_STATUS[error.code];
}

/** The files that an ambiguous reference may mean, when the message does not name them already. */
function candidates(error: ShoalError): string {
  const found = error.details?.['candidates'];
  if (!Array.isArray(found)) return '';
  const names = found.filter((name) => typeof name === 'string' && !error.message.includes(name));
  return names.length === 0 ? '' : `: ${printable(names.join(', '))}`;
}
